/*
 * bind and listen: how the master comes to hold a listener that the application makes.
 *
 * The worker host sends the application's own socket, with the options that were set on it, to the master,
 * which binds the socket. If the master already holds a socket at that address, the master sends that one
 * instead, and it replaces the application's socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bind.h"
#include "worker/api/readiness.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/control/request.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/blocking_mode.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/replace_fd.h"
#include "worker/takeover/revoke.h"
#include "worker/takeover/socket_options.h"
#include "worker/takeover/unseen_listeners.h"

/* From /proc: umask() can only read the value by changing it. */
static uint32_t current_umask(void) {
  unsigned long long mask = 022;
  proc_self_number("status", "Umask:", 8, &mask);
  return (uint32_t)mask;
}

bool path_absolute(const char* path, char absolute[PATH_SIZE]) {
  char here[PATH_SIZE / 2] = "";
  if (path[0] != '/' && getcwd(here, sizeof here) == NULL) return false;
  return snprintf(absolute, PATH_SIZE, "%s%s%s", here, path[0] == '/' ? "" : "/", path) < PATH_SIZE;
}

static bool make_absolute(struct liveswap_bind* body) {
  struct sockaddr_un* address = (struct sockaddr_un*)body->address;
  char path[sizeof address->sun_path + 1] = "";
  char absolute[PATH_SIZE];
  memcpy(path, address->sun_path, body->address_size - offsetof(struct sockaddr_un, sun_path));
  if (!path_absolute(path, absolute) || strlen(absolute) >= sizeof address->sun_path) return false;
  const size_t size = strlen(absolute) + 1;
  memcpy(address->sun_path, absolute, size);
  body->address_size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + size);
  return true;
}

/* The master has answered LIVESWAP_TOO_LATE: the worker is ready, and such sockets stay the application's
 * own. */
static atomic_bool is_late;

/* Whether the master shall hold a socket that is bound once the worker is ready. Not a UDP socket or one
 * without a port: that is most often a client's, or serves one client only. */
static bool is_wanted_late(const struct liveswap_bind* body, in_port_t port) {
  return body->type == SOCK_STREAM && port != 0;
}

static bool is_inet(const struct liveswap_bind* body) {
  return body->domain == AF_INET || body->domain == AF_INET6;
}

/* sin_port and sin6_port have the same offset. */
static in_port_t port_of(const struct liveswap_bind* body) {
  return ((const struct sockaddr_in*)body->address)->sin_port;
}

static bool is_wanted_inet(const struct liveswap_bind* body) {
  const struct sockaddr_in* address = (const struct sockaddr_in*)body->address;
  const size_t least = body->domain == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  if (body->address_size < least || address->sin_family != body->domain) return false;
  if (atomic_load(&is_late) && !is_wanted_late(body, address->sin_port)) return false;
  /* Go asks for MPTCP where the kernel has it. The master answers with a TCP socket. */
  if (body->type == SOCK_STREAM) return body->protocol == IPPROTO_TCP || body->protocol == IPPROTO_MPTCP;
  return body->type == SOCK_DGRAM && body->protocol == IPPROTO_UDP && address->sin_port != 0;
}

static bool is_wanted_unix(struct liveswap_bind* body) {
  const struct sockaddr_un* address = (const struct sockaddr_un*)body->address;
  if (body->type != SOCK_STREAM && body->type != SOCK_SEQPACKET) return false;
  /* Without a name the kernel chooses one that no later worker could ask for. */
  if (body->address_size <= offsetof(struct sockaddr_un, sun_path) || address->sun_family != AF_UNIX)
    return false;
  return address->sun_path[0] == '\0' || make_absolute(body);
}

static bool describe(int fd, const struct sockaddr* address, socklen_t size, struct liveswap_bind* body) {
  *body = (struct liveswap_bind){.domain = socket_option(fd, SO_DOMAIN),
                                 .type = socket_option(fd, SO_TYPE),
                                 .protocol = socket_option(fd, SO_PROTOCOL),
                                 .address_size = size};
  if (address == NULL || size < sizeof(sa_family_t) || size > sizeof(struct sockaddr_storage)) return false;
  memcpy(body->address, address, size);
  if (body->domain == AF_UNIX) {
    if (size > sizeof(struct sockaddr_un) || !is_wanted_unix(body)) return false;
    body->umask = current_umask();
    return true;
  }
  if (body->domain == AF_INET6) {
    int v6only = 0;
    socklen_t value_size = sizeof v6only;
    getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &value_size);
    body->v6only = v6only != 0;
  }
  return is_inet(body) && is_wanted_inet(body);
}

/* Makes `fd` a held listener; `given`, if not -1, replaces the socket. */
static bool take(int fd, int given, const struct liveswap_bind* body) {
  const int status = libc.fcntl(fd, F_GETFL);
  const bool is_blocking = (status & O_NONBLOCK) == 0 && body->type != SOCK_DGRAM;
  uint64_t cookie = 0;
  if (!socket_cookie(fd, &cookie) || !listeners_add(given >= 0 ? given : fd)) return false;
  /* The socket may block in the kernel only if accept() is interposed, and without a time limit
   * (SO_RCVTIMEO), which would apply to all generations. */
  const bool may_block = is_blocking && !options_seccomp_is_on() && socket_receive_limit(fd) < 0;
  if (body->type != SOCK_DGRAM && !may_block) socket_end_blocking(given >= 0 ? given : fd);
  if (given >= 0) {
    /* The held socket has the options of the code that bound the address first. */
    socket_options_copy(fd, given);
    if (body->type == SOCK_DGRAM) libc.fcntl(given, F_SETFL, status);
    if (!replace_fd(fd, cookie, given)) return false;
  }
  fd_flags_set(fd, FLAG_HELD | (is_blocking ? FLAG_BLOCKING : 0));
  /* The order to drain may have come while the server was starting. */
  const struct listener* listener = listeners_find(fd);
  if (listener == NULL) return true;
  if (body->type == SOCK_STREAM) adopted_listener(listener);
  if (revoke_has_begun()) revoke_descriptor(fd, listener);
  return true;
}

static int ask_and_take(int fd, const struct liveswap_bind* body) {
  int given = -1;
  const bool may_be_late = readiness_is_shown() && is_inet(body) && !is_wanted_late(body, port_of(body));
  const struct request request = {
      .kind = LIVESWAP_BIND, .count = may_be_late, .text = body, .size = sizeof *body, .fd = fd};
  const int error = request_ask(&request, &given);
  if (error == LIVESWAP_TOO_LATE) atomic_store(&is_late, true);
  if (error == REQUEST_UNANSWERED || error == LIVESWAP_STAYS_OWN || error == LIVESWAP_TOO_LATE)
    return TAKEOVER_NOT_OURS;
  if (error == ENOSPC && readiness_is_shown()) return TAKEOVER_NOT_OURS;
  if (error != 0) return error;
  const int failed = take(fd, given, body) ? 0 : errno;
  if (given >= 0) libc.close(given);
  return failed;
}

int takeover_bind(int fd, const struct sockaddr* address, socklen_t size) {
  struct liveswap_bind body;
  if (!takeover_is_on() || (unsigned)fd >= FD_FLAGS_MAX || !describe(fd, address, size, &body))
    return TAKEOVER_NOT_OURS;
  /* Without room the socket stays the application's own; the successor then fails to bind the address. */
  if (readiness_is_shown() && !listeners_have_room()) return TAKEOVER_NOT_OURS;
  /* Before the request, which may take long: the server is not ready meanwhile. */
  readiness_await();
  unseen_listeners_bind_begins();
  const int failed = ask_and_take(fd, &body);
  unseen_listeners_bind_ends();
  /* Receiving datagrams may show no wait to interposed calls: the control thread must scan
   * (takeover/readiness_watch.c). */
  if (failed == 0 && body.type == SOCK_DGRAM) readiness_expect(listeners_find(fd));
  return failed;
}

int takeover_listen(int fd, int backlog) {
  const struct listener* listener = listeners_held(fd);
  /* In a child the listener is the parent's (takeover/forked_child.h). */
  if (listener == NULL) return (fd_flags(fd) & (FLAG_REVOKED | FLAG_INHERITED)) != 0 ? 0 : TAKEOVER_NOT_OURS;
  if (listener->type != SOCK_DGRAM) readiness_expect(listener);
  /* A lent listener: the master has chosen the backlog. */
  if (listener->name != NULL) return 0;
  if (listener->type == SOCK_DGRAM) return TAKEOVER_NOT_OURS;
  const uint64_t cookie = listener->cookie;
  const struct request request = {.kind = LIVESWAP_LISTEN,
                                  .count = backlog < 0 ? UINT32_MAX : (uint64_t)backlog,
                                  .text = &cookie,
                                  .size = sizeof cookie,
                                  .fd = -1};
  const int error = request_ask(&request, NULL);
  if (error == REQUEST_UNANSWERED) return TAKEOVER_NOT_OURS;
  if (error != 0) return error;
  /* Some event loops register a socket before bind(). */
  if (replace_fd_is_registered(fd)) blocking_mode_note_wait(fd, FLAG_EPOLLED);
  if ((fd_flags(fd) & FLAG_EPOLLED) != 0) readiness_seen(fd);
  return 0;
}

static int result_of(int error) {
  if (error == 0) return 0;
  errno = error;
  return -1;
}

INTERPOSED int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t size) {
  if (forked_child_is_here()) forked_child_binds(fd);
  const int error = takeover_bind(fd, address.__sockaddr__, size);
  return error == TAKEOVER_NOT_OURS ? libc.bind(fd, address.__sockaddr__, size) : result_of(error);
}

INTERPOSED int listen(int fd, int backlog) {
  const int error = takeover_listen(fd, backlog);
  if (error != TAKEOVER_NOT_OURS) return result_of(error);
  /* Before listen(), so that takeover/unseen_listeners.c never finds an unknown listener. */
  fd_flags_add(fd, FLAG_OWN);
  const int done = libc.listen(fd, backlog);
  if (done != 0) fd_flags_remove(fd, FLAG_OWN);
  else if (takeover_is_on()) readiness_await();
  return done;
}
