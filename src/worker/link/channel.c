#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/socket.h"

/* A master that has not read for so long is stopped or hangs; the worker goes on. */
enum { SEND_LIMIT_MS = 5000 };
/* POLLOUT of a Unix socket comes late (not before three quarters of the buffer are free), so try sending at
 * this interval. */
enum { SEND_RETRY_MS = 20 };

static int channel = -1;

/* A forked child must neither keep the channel open nor send frames in the worker's name. */
static void forget_in_child(void) {
  if (channel < 0) return;
  host_fd_close(channel);
  for (int fd = LIVESWAP_FD_LIFE; fd < LIVESWAP_FD_LISTENERS; ++fd)
    if ((fd_flags(fd) & FLAG_HOST) != 0) host_fd_close(fd);
  channel = -1;
}

bool channel_adopt(void) {
  if (socket_option(LIVESWAP_FD_CHANNEL, SO_TYPE) != SOCK_SEQPACKET) return false;
  fcntl(LIVESWAP_FD_CHANNEL, F_SETFD, FD_CLOEXEC);
  /* A pre-upgrade plugin has no life descriptor: this fails then, harmlessly. */
  fcntl(LIVESWAP_FD_LIFE, F_SETFD, FD_CLOEXEC);
  channel = host_fd(LIVESWAP_FD_CHANNEL);
  host_fd(LIVESWAP_FD_LIFE);
  pthread_atfork(NULL, NULL, forget_in_child);
  return true;
}

int channel_fd(void) { return channel; }

bool channel_has_master(void) {
  struct pollfd end = {channel, 0, 0};
  return libc.poll(&end, 1, 0) == 0;
}

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

bool channel_try_send_with(struct liveswap_frame frame, const void* text, size_t size, int fd) {
  struct iovec parts[2] = {{&frame, sizeof frame}, {(void*)text, size}};
  struct msghdr packet = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};
  union control control = {.header = {CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS}};
  if (fd >= 0) {
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    packet.msg_control = &control;
    packet.msg_controllen = sizeof control;
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(channel, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

bool channel_try_send(struct liveswap_frame frame, const void* text, size_t size) {
  return channel_try_send_with(frame, text, size, -1);
}

/* ETOOMANYREFS: the master has not yet received the descriptors in flight. */
bool channel_is_only_full(void) { return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS; }

bool channel_send(struct liveswap_frame frame, const void* text, size_t size) {
  return channel_send_with(frame, text, size, -1);
}

bool channel_send_with(struct liveswap_frame frame, const void* text, size_t size, int fd) {
  const int64_t limit = clock_ms() + SEND_LIMIT_MS;
  while (!channel_try_send_with(frame, text, size, fd)) {
    if (!channel_is_only_full() || clock_ms() >= limit) return false;
    struct pollfd room = {channel, POLLOUT, 0};
    libc.poll(&room, 1, SEND_RETRY_MS);
  }
  return true;
}

void channel_send_value(enum liveswap_frame_kind kind, int32_t value) {
  channel_send((struct liveswap_frame){.kind = kind, .value = value}, NULL, 0);
}

void channel_fail(enum liveswap_stage stage, const char* format, ...) {
  char text[8192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  channel_send((struct liveswap_frame){.kind = LIVESWAP_FAILED, .value = (int32_t)stage}, text, strlen(text));
  libc._exit(LIVESWAP_EXIT_LOAD);
}

/* The buffer has room for one descriptor; the kernel closes any other. */
static int descriptor_of(struct msghdr* packet) {
  const struct cmsghdr* header = CMSG_FIRSTHDR(packet);
  int fd = -1;
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len >= CMSG_LEN(sizeof fd))
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

enum channel_receipt channel_receive(struct liveswap_frame* frame, char* text, size_t* size, int* fd) {
  struct iovec parts[2] = {{frame, sizeof *frame}, {text, LIVESWAP_TEXT_MAX}};
  union control control;
  /* CMSG_SPACE, which is rounded up, would have room for a second descriptor, which would stay open. */
  struct msghdr packet = {
      .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof *fd)};
  *fd = -1;
  const ssize_t received = recvmsg(channel, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return CHANNEL_NOTHING;
  if (received <= 0) return CHANNEL_GONE;
  *fd = descriptor_of(&packet);
  if (*fd < 0 && (packet.msg_flags & MSG_CTRUNC) != 0) *fd = CHANNEL_LOST;
  if ((size_t)received < sizeof *frame || (packet.msg_flags & MSG_TRUNC) != 0) {
    if (*fd >= 0) libc.close(*fd);
    *fd = -1;
    return CHANNEL_NOTHING;
  }
  *size = (size_t)received - sizeof *frame;
  return CHANNEL_FRAME;
}
