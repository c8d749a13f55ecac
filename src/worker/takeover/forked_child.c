#include "forked_child.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "epoll_lock.h"
#include "worker/api/drain.h"
#include "worker/api/readiness.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/slow_path.h"
#include "worker/base/socket.h"
#include "worker/base/wake.h"
#include "worker/link/channel.h"

enum found { FOUND_NOTHING, FOUND_SERVES, FOUND_DAEMON };

/* Memory that a worker shares with its forked children. */
struct shared {
  atomic_int found;     /* enum found */
  atomic_int pid;       /* the child that reported */
  atomic_bool refused;  /* the worker has failed: children must not serve */
  atomic_bool detached; /* a child called setsid() before the worker was ready */
};

static struct shared* shared;
static int report_fd = -1;
static pid_t self;
static atomic_bool has_forked;
static bool is_detached; /* in a child: setsid() was called */

/* The control thread must run to receive the children's reports. */
static void note_fork(void) {
  if (!atomic_exchange(&has_forked, true))
    channel_try_send((struct liveswap_frame){.kind = LIVESWAP_FORKED}, NULL, 0);
  wake_if_parked();
}

/* No lock may be taken here: the owner may be a thread that does not exist in the child. */
static void become_child(void) {
  slow_path_add(SLOW_CHILD);
  slow_path_remove(~(unsigned)(SLOW_CHILD | SLOW_REVOKED));
  self = getpid();
  epoll_lock_in_child();
  const int end = atomic_load(&fd_flags_end);
  for (int fd = 0; fd < end; ++fd) {
    const unsigned flags = fd_flags(fd);
    if ((flags & FLAG_HELD) != 0) fd_flags_set(fd, (flags & ~(unsigned)FLAG_HELD) | FLAG_INHERITED);
    if ((flags & FLAG_HANDOFF) != 0) fd_flags_remove(fd, FLAG_HANDOFF);
    if ((flags & FLAG_HOST) != 0 && fd != report_fd) fd_flags_set(fd, 0);
  }
}

bool forked_child_setup(void) {
  self = getpid();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return false;
  report_fd = host_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (report_fd < 0) return false;
  errno = pthread_atfork(NULL, note_fork, become_child);
  return errno == 0;
}

bool forked_child_is_of_vfork(void) { return getpid() != self; }

bool forked_child_runs(void) { return forked_child_is_here() || forked_child_is_of_vfork(); }

static _Noreturn void end(enum found found) {
  dprintf(STDERR_FILENO,
          "liveswap-worker: process %d ends: it was forked by an application under liveswap, and %s\n",
          (int)getpid(), found == FOUND_SERVES ? "waits for connections itself" : "becomes a daemon");
  libc._exit(1);
}

static _Noreturn void report(enum found found) {
  int nothing = FOUND_NOTHING;
  if (atomic_compare_exchange_strong(&shared->found, &nothing, (int)found))
    atomic_store(&shared->pid, (int)getpid());
  eventfd_write(report_fd, 1);
  end(found);
}

/* An application that drains by itself also manages its children. */
void forked_child_uses(int fd) {
  if (drain_is_cooperative()) return;
  if ((fd_flags(fd) & FLAG_INHERITED) != 0) report(FOUND_SERVES);
  if (atomic_load(&shared->refused)) end(FOUND_DAEMON);
}

void forked_child_binds(int fd) {
  if (drain_is_cooperative() || readiness_is_shown()) return;
  const int type = socket_option(fd, SO_TYPE);
  if (type < 0 || type == SOCK_DGRAM) return;
  if (is_detached) report(FOUND_DAEMON);
  if (atomic_load(&shared->refused)) end(FOUND_DAEMON);
}

void forked_child_detached(void) {
  if (drain_is_cooperative() || readiness_is_shown()) return;
  is_detached = true;
  atomic_store(&shared->detached, true);
}

bool forked_child_has_forked(void) { return atomic_load(&has_forked); }

bool forked_child_exists(void) {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

bool forked_child_may_be_daemon(void) {
  return atomic_load(&has_forked) && (atomic_load(&shared->detached) || forked_child_exists());
}

bool forked_child_may_report(void) { return atomic_load(&has_forked) && forked_child_exists(); }

int forked_child_fd(void) { return report_fd; }

static _Noreturn void fail(const char* why) {
  atomic_store(&shared->refused, true);
  channel_fail(readiness_is_shown() ? LIVESWAP_STAGE_RUN : LIVESWAP_STAGE_START, "%s", why);
}

void forked_child_refuse_daemon(void) {
  fail(
      "the application turns itself into a daemon, and liveswap would lose track of it: start it in the "
      "foreground (nginx: daemon off; master_process off; redis: --daemonize no; memcached: without -d; "
      "lighttpd: -D)");
}

void forked_child_serve_report(void) {
  eventfd_t count;
  eventfd_read(report_fd, &count);
  if (atomic_load(&shared->found) == FOUND_NOTHING) return;
  if (atomic_load(&shared->found) == FOUND_DAEMON) forked_child_refuse_daemon();
  fail(
      "the application forks processes that serve (prefork), which liveswap cannot drain: run it as a single "
      "process, with threads if it has them (nginx: master_process off), and let liveswap start as many "
      "workers as are wanted (--forks)");
}
