/*
 * bind, listen and connect: how a listener that the application makes for itself comes into the master's
 * hands.
 *
 * The master gets the application's own socket, with the options that were set on it, and binds it; or it has
 * the address already and gives the socket that it holds, which takes the place of the application's.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "adopt.h"
#include "bind.h"
#include "calls.h"
#include "child.h"
#include "intercept.h"
#include "marks.h"
#include "mode.h"
#include "option.h"
#include "question.h"
#include "real.h"
#include "swap.h"
#include "uring.h"
#include "worker/aside.h"
#include "worker/channel.h"
#include "worker/readiness.h"
#include "worker/seize.h"
#include "worker/self.h"

static int option_of(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/* The umask can only be read by setting it; /proc tells it without a moment in which it is another. */
static mode_t current_umask(void) {
  char text[512];
  unsigned mask = 022;
  if (self_read("status", text, sizeof text) <= 0) return (mode_t)mask;
  const char* line = strstr(text, "\nUmask:");
  if (line != NULL) sscanf(line, "\nUmask: %o", &mask);
  return (mode_t)mask;
}

/* Paths are meant from the application's working directory, and the master has another. */
static bool make_absolute(struct liveswap_bind* wish) {
  struct sockaddr_un* address = (struct sockaddr_un*)wish->address;
  char path[sizeof address->sun_path + 1] = "";
  memcpy(path, address->sun_path, wish->address_size - offsetof(struct sockaddr_un, sun_path));
  char whole[4096 + sizeof path];
  if (path[0] == '/') {
    snprintf(whole, sizeof whole, "%s", path);
  } else {
    char here[4096];
    if (getcwd(here, sizeof here) == NULL) return false;
    snprintf(whole, sizeof whole, "%s/%s", here, path);
  }
  const size_t size = strlen(whole);
  if (size >= sizeof address->sun_path) return false;
  memcpy(address->sun_path, whole, size + 1);
  wish->address_size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
  return true;
}

/* The worker is ready, as the master has said when it was last asked for one that it does not want from then
 * on. */
static atomic_bool is_late;

/* Datagrams, and any port: what is bound so later is most often a client, or for one client alone. */
static bool is_wanted_late(const struct liveswap_bind* wish, in_port_t port) {
  return wish->type == SOCK_STREAM && port != 0;
}

static bool is_inet(const struct liveswap_bind* wish) {
  return wish->domain == AF_INET || wish->domain == AF_INET6;
}

/* The port has the same place in both families. */
static in_port_t port_of(const struct liveswap_bind* wish) {
  return ((const struct sockaddr_in*)wish->address)->sin_port;
}

static bool is_wanted_inet(const struct liveswap_bind* wish) {
  const struct sockaddr_in* address = (const struct sockaddr_in*)wish->address;
  const size_t least = wish->domain == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  if (wish->address_size < least || address->sin_family != wish->domain) return false;
  if (atomic_load(&is_late) && !is_wanted_late(wish, address->sin_port)) return false;
  /* MPTCP, which Go asks for where the kernel has it: the master answers with a plain socket. */
  if (wish->type == SOCK_STREAM) return wish->protocol == IPPROTO_TCP || wish->protocol == IPPROTO_MPTCP;
  return wish->type == SOCK_DGRAM && wish->protocol == IPPROTO_UDP && address->sin_port != 0;
}

static bool is_wanted_unix(struct liveswap_bind* wish) {
  const struct sockaddr_un* address = (const struct sockaddr_un*)wish->address;
  if (wish->type != SOCK_STREAM && wish->type != SOCK_SEQPACKET) return false;
  /* Without a name the kernel chooses one: nobody could ask for it again. */
  if (wish->address_size <= offsetof(struct sockaddr_un, sun_path) || address->sun_family != AF_UNIX)
    return false;
  return address->sun_path[0] == '\0' || make_absolute(wish);
}

static bool describe(int fd, const struct sockaddr* address, socklen_t size, struct liveswap_bind* wish) {
  *wish = (struct liveswap_bind){.domain = option_of(fd, SO_DOMAIN),
                                 .type = option_of(fd, SO_TYPE),
                                 .protocol = option_of(fd, SO_PROTOCOL),
                                 .address_size = size};
  if (address == NULL || size < sizeof(sa_family_t) || size > sizeof(struct sockaddr_storage)) return false;
  memcpy(wish->address, address, size);
  if (wish->domain == AF_UNIX) {
    if (size > sizeof(struct sockaddr_un) || !is_wanted_unix(wish)) return false;
    wish->umask = current_umask();
    return true;
  }
  if (wish->domain == AF_INET6) {
    int v6only = 0;
    socklen_t value_size = sizeof v6only;
    getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &value_size);
    wish->v6only = v6only != 0;
  }
  return is_inet(wish) && is_wanted_inet(wish);
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
  /* The kernel doubles what is set for its own needs, and tells the doubled number (socket(7)). */
  if (level == SOL_SOCKET && (option == SO_RCVBUF || option == SO_SNDBUF)) {
    int bytes = 0;
    memcpy(&bytes, value, sizeof bytes);
    bytes /= 2;
    memcpy(value, &bytes, sizeof bytes);
  }
  option_set(to, level, option, value, size);
}

void takeover_copy_options(int from, int to) {
  const int domain = option_of(from, SO_DOMAIN);
  const int type = option_of(from, SO_TYPE);
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

/* From here on `fd` is a held listener; `given` replaces it, or is -1. */
static bool take(int fd, int given, const struct liveswap_bind* wish) {
  const int status = real.fcntl(fd, F_GETFL);
  const bool believed = (status & O_NONBLOCK) == 0 && wish->type != SOCK_DGRAM;
  uint64_t cookie = 0;
  /* First of all: who finds it listening (stray.c) finds it known. */
  if (!socket_cookie(fd, &cookie) || !listeners_add(given >= 0 ? given : fd)) return false;
  /* Calls that nobody sees cannot be made to wait; a time limit is for whoever has the socket. */
  const bool may_block = believed && !intercept_is_on() && mode_time_limit(fd) < 0;
  if (wish->type != SOCK_DGRAM && !may_block) mode_end_blocking(given >= 0 ? given : fd);
  if (given >= 0) {
    /* The held socket has the options of the code that bound it first; the new code may want others. */
    takeover_copy_options(fd, given);
    if (wish->type == SOCK_DGRAM) real.fcntl(given, F_SETFL, status);
    if (!swap_descriptor(fd, cookie, given)) return false;
  }
  marks_set(fd, MARK_HELD | (believed ? MARK_BLOCKING : 0));
  /* An order to drain does not wait for a server that is just starting. */
  const struct listener* listener = listeners_find(fd);
  if (listener == NULL) return true;
  if (wish->type == SOCK_STREAM) adopt_listener(listener);
  if (seize_has_begun()) seize_descriptor(fd, listener);
  return true;
}

int takeover_bind(int fd, const struct sockaddr* address, socklen_t size) {
  struct liveswap_bind wish;
  if (!calls_taking_over() || (unsigned)fd >= MARKS_MAX || !describe(fd, address, size, &wish))
    return TAKEOVER_NOT_OURS;
  /* Without room it is on its own; that it is there to stay shows at the latest when its successor wants its
   * address. */
  if (readiness_is_over() && !listeners_have_room()) return TAKEOVER_NOT_OURS;
  /* Before the question: a server that has to wait for its address is not ready meanwhile. */
  readiness_await();
  int given = -1;
  const bool may_be_late = readiness_is_over() && is_inet(&wish) && !is_wanted_late(&wish, port_of(&wish));
  const struct question question = {
      .kind = LIVESWAP_BIND, .count = may_be_late, .text = &wish, .size = sizeof wish, .fd = fd};
  const int error = question_ask(&question, &given);
  if (error == LIVESWAP_TOO_LATE) atomic_store(&is_late, true);
  if (error == QUESTION_UNANSWERED || error == LIVESWAP_STAYS_OWN || error == LIVESWAP_TOO_LATE)
    return TAKEOVER_NOT_OURS;
  if (error == ENOSPC && readiness_is_over()) return TAKEOVER_NOT_OURS;
  if (error != 0) return error;
  const int failed = take(fd, given, &wish) ? 0 : errno;
  if (given >= 0) real.close(given);
  /* A thread that receives datagrams may never be seen to wait (readiness.c). */
  if (failed == 0 && wish.type == SOCK_DGRAM) {
    aside_come_in();
    readiness_expect(listeners_find(fd));
  }
  return failed;
}

int takeover_listen(int fd, int backlog) {
  const struct listener* listener = calls_held(fd);
  /* In a child: it is the parent's (child.h). */
  if (listener == NULL) return (marks_of(fd) & (MARK_SEIZED | MARK_INHERITED)) != 0 ? 0 : TAKEOVER_NOT_OURS;
  if (listener->type != SOCK_DGRAM) readiness_expect(listener);
  /* Lent: the master has chosen the backlog. */
  if (listener->name != NULL) return 0;
  if (listener->type == SOCK_DGRAM) return TAKEOVER_NOT_OURS;
  const uint64_t cookie = listener->cookie;
  const struct question question = {.kind = LIVESWAP_LISTEN,
                                    .count = backlog < 0 ? UINT32_MAX : (uint64_t)backlog,
                                    .text = &cookie,
                                    .size = sizeof cookie,
                                    .fd = -1};
  const int error = question_ask(&question, NULL);
  if (error == QUESTION_UNANSWERED) return TAKEOVER_NOT_OURS;
  if (error != 0) return error;
  /* Some event loops register a socket before they bind it. */
  if (swap_is_registered(fd)) mode_note_wait(fd, MARK_EPOLLED);
  if ((marks_of(fd) & MARK_EPOLLED) != 0) readiness_seen(fd);
  if (aside_is_out() && uring_is_there()) aside_stay();
  return 0;
}

static int result_of(int error) {
  if (error == 0) return 0;
  errno = error;
  return -1;
}

SEEN_CALL int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t size) {
  if (child_is_here()) child_binds(fd);
  const int error = takeover_bind(fd, address.__sockaddr__, size);
  return error == TAKEOVER_NOT_OURS ? real.bind(fd, address.__sockaddr__, size) : result_of(error);
}

SEEN_CALL int listen(int fd, int backlog) {
  const int error = takeover_listen(fd, backlog);
  if (error != TAKEOVER_NOT_OURS) return result_of(error);
  /* Seen, so that it is no stray; before it listens. */
  marks_add(fd, MARK_OWN);
  const int done = real.listen(fd, backlog);
  if (done != 0)
    marks_drop(fd, MARK_OWN);
  else if (calls_taking_over())
    readiness_await();
  return done;
}

/* A client that wants an address of its own: bind, then connect. It was no listener after all. */
static bool let_go(int fd, const struct listener* listener) {
  union address local = listener->address;
  const int domain = local.any.sa_family;
  const int fresh = socket(domain, listener->type | SOCK_CLOEXEC, 0);
  if (fresh < 0) return false;
  const int yes = 1;
  const bool blocking = listener->type == SOCK_DGRAM ? (real.fcntl(fd, F_GETFL) & O_NONBLOCK) == 0
                                                     : (marks_of(fd) & MARK_BLOCKING) != 0;
  takeover_copy_options(fd, fresh);
  setsockopt(fresh, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  setsockopt(fresh, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  bool done = real.bind(fresh, &local.any, listener->address_size) == 0 &&
              (blocking || real.fcntl(fresh, F_SETFL, O_NONBLOCK) == 0) &&
              swap_descriptor(fd, listener->cookie, fresh);
  real.close(fresh);
  if (!done) return false;
  marks_set(fd, 0);
  const uint64_t cookie = listener->cookie;
  listeners_forget(listener);
  readiness_review();
  channel_send((struct liveswap_frame){.kind = LIVESWAP_UNLISTEN}, (const char*)&cookie, sizeof cookie);
  return true;
}

SEEN_CALL int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t size) {
  const struct listener* listener = calls_held(fd);
  if (listener != NULL && listener->name == NULL && !calls_listens(fd) && !let_go(fd, listener)) return -1;
  return real.connect(fd, address.__sockaddr__, size);
}
