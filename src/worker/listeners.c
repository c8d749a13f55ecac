#include "listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "contract/channel.h"
#include "liveswap_plugin.h"

union address {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
};

struct listener {
  const char* name;
  int fd;
  int type;
  uint64_t cookie; /* the kernel's name for the socket, the same for every duplicate */
  union address address;
  socklen_t address_size;
};

/* Written before the application is loaded, only read afterwards. */
static struct listener listeners[LIVESWAP_LISTENERS_MAX];
static int listener_count;

static bool read_cookie(int fd, uint64_t* cookie) {
  socklen_t size = sizeof *cookie;
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &size) == 0;
}

static bool adopt(struct listener* listener, int fd, const char* name) {
  socklen_t size = sizeof listener->type;
  *listener = (struct listener){.name = name, .fd = fd, .address_size = sizeof listener->address};
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &listener->type, &size) != 0 ||
      !read_cookie(fd, &listener->cookie) ||
      getsockname(fd, &listener->address.any, &listener->address_size) != 0) {
    return false;
  }
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  /* The flag is shared with every generation: one before may have cleared it. */
  const int flags = fcntl(fd, F_GETFL);
  return (flags & O_NONBLOCK) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

bool listeners_adopt(char* names) {
  if (*names == '\0') return true;
  for (char* name = names; name != NULL;) {
    char* comma = strchr(name, ',');
    if (comma != NULL) *comma = '\0';
    if (listener_count == LIVESWAP_LISTENERS_MAX) return false;
    if (!adopt(&listeners[listener_count], LIVESWAP_FD_LISTENERS + listener_count, name)) return false;
    ++listener_count;
    name = comma != NULL ? comma + 1 : NULL;
  }
  return true;
}

int listeners_first(void) { return listener_count > 0 ? listeners[0].fd : -1; }

bool listeners_own(int fd, int* type) {
  uint64_t cookie = 0;
  if (!read_cookie(fd, &cookie)) return false;
  for (int i = 0; i < listener_count; ++i) {
    if (listeners[i].cookie != cookie) continue;
    *type = listeners[i].type;
    return true;
  }
  return false;
}

/* The port; -1 for a family without ports. */
static int port_of(const union address* address) {
  switch (address->any.sa_family) {
    case AF_INET:
      return address->in.sin_port;
    case AF_INET6:
      return address->in6.sin6_port;
    default:
      return -1;
  }
}

static bool same_place(const struct listener* listener, const union address* address, socklen_t size) {
  /* A listener on every address has connections with a local address of their own: the port decides. */
  const int port = port_of(address);
  if (port >= 0) return port == port_of(&listener->address);
  return address->any.sa_family == AF_UNIX && size > sizeof(sa_family_t) && size == listener->address_size &&
         memcmp(address, &listener->address, size) == 0;
}

bool listeners_accepted(int fd) {
  union address local;
  union address peer;
  socklen_t size = sizeof local;
  socklen_t peer_size = sizeof peer;
  if (getsockname(fd, &local.any, &size) != 0) return false;
  for (int i = 0; i < listener_count; ++i) {
    if (same_place(&listeners[i], &local, size)) return getpeername(fd, &peer.any, &peer_size) == 0;
  }
  return false;
}

int liveswap_listener(const char* name) {
  for (int i = 0; name != NULL && i < listener_count; ++i) {
    if (strcmp(listeners[i].name, name) == 0) return listeners[i].fd;
  }
  errno = name == NULL ? EINVAL : ENOENT;
  return -1;
}
