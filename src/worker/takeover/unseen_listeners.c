#include "unseen_listeners.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/api/drain.h"
#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/link/channel.h"

enum {
  SCAN_EVERY_MS = 20,
  /* The pauses grow with the time since the start: about a hundred scans of 40 µs in all. */
  AGE_PER_PAUSE = 10,
  SCANS_END_MS = 60 * 1000,
};

static _Atomic int64_t began = -1;
static atomic_int binds; /* bind() calls under way */
static enum intercept intercept;

void unseen_listeners_watch(const struct options* options) {
  /* An application with lent listeners may keep a further one to itself: no scans. */
  if (listeners_first() >= 0) return;
  intercept = options->intercept;
  atomic_store(&began, clock_ms());
}

struct unseen {
  int fd;
  uint64_t cookie;
  char address[128 + INET6_ADDRSTRLEN];
};

static void describe_inet(const union address* address, char* text, size_t size) {
  char host[INET6_ADDRSTRLEN] = "";
  const struct sockaddr_in* in =
      (const struct sockaddr_in*)address; /* the port has the same offset in both */
  const struct sockaddr_in6* in6 = (const struct sockaddr_in6*)address;
  const bool is_v6 = address->any.sa_family == AF_INET6;
  const void* number = is_v6 ? (const void*)&in6->sin6_addr : &in->sin_addr;
  inet_ntop(address->any.sa_family, number, host, sizeof host);
  snprintf(text, size, is_v6 ? "[%s]:%d" : "%s:%d", host, ntohs(in->sin_port));
}

/* Describes the address of a listener that interpose/bind.c would take over. False: any other. */
static bool describe(int fd, char* text, size_t text_size) {
  enum { AUTOBOUND = 6 }; /* unix(7): a NUL and five digits */
  union address address = {.any.sa_family = AF_UNSPEC};
  socklen_t size = sizeof address;
  if (getsockname(fd, &address.any, &size) != 0) return false;
  if (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6) {
    describe_inet(&address, text, text_size);
    return true;
  }
  const struct sockaddr_un* un = (const struct sockaddr_un*)&address;
  const int length = (int)size - (int)offsetof(struct sockaddr_un, sun_path);
  if (address.any.sa_family != AF_UNIX || length <= 0) return false;
  if (un->sun_path[0] != '\0') snprintf(text, text_size, "%.*s", length, un->sun_path);
  else snprintf(text, text_size, "@%.*s", length - 1, un->sun_path + 1);
  return un->sun_path[0] != '\0' || length != AUTOBOUND;
}

static void examine(int fd, void* context) {
  struct unseen* unseen = context;
  if (unseen->fd >= 0 || fd <= STDERR_FILENO || fd >= FD_FLAGS_MAX) return;
  if ((fd_flags(fd) & (FLAG_OWN | FLAG_HOST | FLAG_REVOKED)) != 0) return;
  if (!socket_listens(fd) || listeners_find(fd) != NULL || !socket_cookie(fd, &unseen->cookie)) return;
  if (describe(fd, unseen->address, sizeof unseen->address)) unseen->fd = fd;
}

static _Noreturn void refuse(const struct unseen* unseen) {
  if (intercept == INTERCEPT_SECCOMP) {
    channel_fail(
        LIVESWAP_STAGE_START,
        "the application listens at %s, but --intercept seccomp has not seen its bind(): port 0 (name "
        "a port), io_uring, or a 32-bit system call",
        unseen->address);
  }
  channel_fail(
      LIVESWAP_STAGE_START,
      "the application listens at %s, but has not called libc's bind(), as is usual for Go and static "
      "binaries: liveswap cannot hand the listener to the next version; start with --intercept seccomp",
      unseen->address);
}

void unseen_listeners_bind_begins(void) { atomic_fetch_add(&binds, 1); }
void unseen_listeners_bind_ends(void) { atomic_fetch_sub(&binds, 1); }

int64_t unseen_listeners_step(void) {
  static uint64_t last_cookie;
  static int64_t due;
  const int64_t start = atomic_load(&began);
  const int64_t now = clock_ms();
  if (start < 0 || now - start > SCANS_END_MS || readiness_is_shown() || drain_is_on()) return -1;
  if (now < due) return due;
  struct unseen unseen = {.fd = -1};
  if (atomic_load(&binds) == 0) proc_self_each_descriptor(examine, &unseen);
  /* Only if seen twice: the first scan may have begun before a bind(). */
  if (unseen.fd >= 0 && unseen.cookie == last_cookie) refuse(&unseen);
  last_cookie = unseen.fd >= 0 ? unseen.cookie : 0;
  const int64_t pause = (now - start) / AGE_PER_PAUSE;
  return due = now + (pause > SCAN_EVERY_MS && last_cookie == 0 ? pause : SCAN_EVERY_MS);
}
