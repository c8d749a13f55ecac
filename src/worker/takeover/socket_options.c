#include "socket_options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>

#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/socket.h"
#include "worker/link/channel.h"

/* A server sets a few options, once. */
enum { REPORTS_MAX = 256 };

static void tell(int fd, int level, int name, const void* value, socklen_t size) {
  static atomic_int reports;
  struct liveswap_option said = {.level = level, .name = name};
  if (!socket_cookie(fd, &said.cookie) || atomic_fetch_add(&reports, 1) >= REPORTS_MAX) return;
  said.size = size < sizeof said.value ? (uint32_t)size : (uint32_t)sizeof said.value;
  if (value != NULL) memcpy(said.value, value, said.size);
  channel_send((struct liveswap_frame){.kind = LIVESWAP_OPTION}, &said, sizeof said);
}

int socket_options_set(int fd, int level, int name, const void* value, socklen_t size) {
  const int done = libc.setsockopt(fd, level, name, value, size);
  const int error = errno;
  if (done == 0) tell(fd, level, name, value, size);
  errno = error;
  return done;
}

static void copy_option(int from, int to, int level, int option) {
  unsigned char value[64];
  unsigned char there[64];
  socklen_t size = sizeof value;
  socklen_t there_size = sizeof there;
  if (getsockopt(from, level, option, value, &size) != 0) return;
  if (getsockopt(to, level, option, there, &there_size) == 0 && there_size == size &&
      memcmp(value, there, size) == 0)
    return;
  /* The kernel doubles the value that is set, and returns the doubled one (socket(7)). */
  if (level == SOL_SOCKET && (option == SO_RCVBUF || option == SO_SNDBUF)) {
    int bytes = 0;
    memcpy(&bytes, value, sizeof bytes);
    bytes /= 2;
    memcpy(value, &bytes, sizeof bytes);
  }
  socket_options_set(to, level, option, value, size);
}

void socket_options_copy(int from, int to) {
  const int domain = socket_option(from, SO_DOMAIN);
  const int type = socket_option(from, SO_TYPE);
  static const struct {
    int level;
    int option;
  } options[] = {
      {SOL_SOCKET, SO_RCVBUF},       {SOL_SOCKET, SO_SNDBUF},         {SOL_SOCKET, SO_KEEPALIVE},
      {SOL_SOCKET, SO_LINGER},       {SOL_SOCKET, SO_OOBINLINE},      {SOL_SOCKET, SO_PRIORITY},
      {SOL_SOCKET, SO_RCVLOWAT},     {SOL_SOCKET, SO_RCVTIMEO},       {SOL_SOCKET, SO_SNDTIMEO},
      {IPPROTO_TCP, TCP_NODELAY},    {IPPROTO_TCP, TCP_DEFER_ACCEPT}, {IPPROTO_TCP, TCP_KEEPIDLE},
      {IPPROTO_TCP, TCP_KEEPINTVL},  {IPPROTO_TCP, TCP_KEEPCNT},      {IPPROTO_TCP, TCP_USER_TIMEOUT},
      {IPPROTO_TCP, TCP_CONGESTION}, {IPPROTO_TCP, TCP_FASTOPEN},     {IPPROTO_IP, IP_TOS},
  };
  for (size_t i = 0; i < sizeof options / sizeof options[0]; ++i) {
    if (options[i].level == IPPROTO_TCP && (domain == AF_UNIX || type != SOCK_STREAM)) continue;
    if (options[i].level == IPPROTO_IP && domain != AF_INET) continue;
    copy_option(from, to, options[i].level, options[i].option);
  }
}
