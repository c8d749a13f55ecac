#include "keeper/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(LIVESWAP_KEEPER_DESCRIPTORS_MAX * sizeof(int))];
};

static void take_descriptors(struct msghdr* message, struct packet* packet) {
  struct cmsghdr* part = CMSG_FIRSTHDR(message);
  if (part == NULL || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) return;
  packet->fd_count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  memcpy(packet->fds, CMSG_DATA(part), packet->fd_count * sizeof(int));
}

enum receipt link_receive(int link, struct packet* packet) {
  struct iovec parts[2] = {{&packet->frame, sizeof packet->frame}, {packet->text, sizeof packet->text}};
  union control control;
  struct msghdr message = {
      .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
  const ssize_t size = recvmsg(link, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM || errno == ENOBUFS)) return NOTHING;
  if (size <= 0) return GONE;
  packet->fd_count = 0;
  take_descriptors(&message, packet);
  packet->is_cut = (message.msg_flags & MSG_CTRUNC) != 0;
  if ((size_t)size >= sizeof packet->frame && (message.msg_flags & MSG_TRUNC) == 0) {
    packet->size = (size_t)size - sizeof packet->frame;
    return RECEIVED;
  }
  for (size_t i = 0; i < packet->fd_count; ++i) close(packet->fds[i]);
  return NOTHING;
}

bool link_send(int link, struct liveswap_keeper_frame frame, const void* text, size_t size, const int* fds,
               size_t fd_count) {
  struct iovec parts[2] = {{&frame, sizeof frame}, {(void*)text, size}};
  union control control;
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};
  if (fd_count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(link, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}
