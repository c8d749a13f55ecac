/* Stands in for a worker host: sends its end of the channel over descriptor 4, and waits until it is
 * killed. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contract/channel.h"

int main(void) {
  const int fd = LIVESWAP_FD_CHANNEL;
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {.header = {CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS}};
  struct iovec part = {"x", 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  if (sendmsg(4, &message, 0) != 1) return 1;
  for (;;) pause();
}
