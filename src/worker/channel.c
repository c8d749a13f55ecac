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

#include "clock.h"

/* A master that has not read for so long is stopped or stuck; the worker goes on without it. */
enum { SEND_LIMIT_MS = 5000 };
/* POLLOUT of a Unix socket comes late (a quarter of the buffer is in use), so the send itself is tried again.
 */
enum { SEND_RETRY_MS = 20 };

static int channel = -1;

/* A child without exec must not keep the channel open, nor speak in the worker's name. */
static void forget_in_child(void) {
  if (channel < 0) return;
  close(channel);
  close(LIVESWAP_FD_LIFE);
  channel = -1;
}

bool channel_adopt(void) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(LIVESWAP_FD_CHANNEL, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
    return false;
  fcntl(LIVESWAP_FD_CHANNEL, F_SETFD, FD_CLOEXEC);
  /* A hook has no life descriptor; this then fails and does no harm. */
  fcntl(LIVESWAP_FD_LIFE, F_SETFD, FD_CLOEXEC);
  channel = LIVESWAP_FD_CHANNEL;
  pthread_atfork(NULL, NULL, forget_in_child);
  return true;
}

int channel_fd(void) { return channel; }

bool channel_try_send(struct liveswap_frame frame, const char* text, size_t size) {
  struct iovec parts[2] = {{&frame, sizeof frame}, {(char*)text, size}};
  const struct msghdr packet = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};
  ssize_t sent = 0;
  do {
    sent = sendmsg(channel, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

bool channel_send(struct liveswap_frame frame, const char* text, size_t size) {
  const int64_t limit = clock_ms() + SEND_LIMIT_MS;
  while (!channel_try_send(frame, text, size)) {
    if ((errno != EAGAIN && errno != ENOBUFS) || clock_ms() >= limit) return false;
    struct pollfd room = {channel, POLLOUT, 0};
    poll(&room, 1, SEND_RETRY_MS);
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
  _exit(LIVESWAP_EXIT_LOAD);
}

enum channel_receipt channel_receive(struct liveswap_frame* frame, char* text, size_t* size) {
  struct iovec parts[2] = {{frame, sizeof *frame}, {text, LIVESWAP_TEXT_MAX}};
  /* Without a control buffer the kernel closes descriptors that came along. */
  struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
  const ssize_t received = recvmsg(channel, &packet, MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return CHANNEL_NOTHING;
  if (received <= 0) return CHANNEL_GONE;
  if ((size_t)received < sizeof *frame || (packet.msg_flags & MSG_TRUNC) != 0) return CHANNEL_NOTHING;
  *size = (size_t)received - sizeof *frame;
  return CHANNEL_FRAME;
}
