#include "retire.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/clock.h"
#include "worker/count.h"
#include "worker/descriptors.h"
#include "worker/drain.h"
#include "worker/holds.h"
#include "worker/listeners.h"
#include "worker/seize.h"
#include "adopt.h"
#include "handler.h"
#include "handoff.h"
#include "marks.h"
#include "real.h"

enum {
  LOOK_EVERY_MS = 20,
  /* With many thousand descriptors a look takes milliseconds: it may use a twentieth of one CPU, no more. */
  REST_PER_WORK = 20,
  /* A connection that has just been accepted may be seen by neither of two looks, never by both. */
  EMPTY_LOOKS = 2,
  FLUSH_LIMIT_MS = 200,
  /* The application has closed its side and waits for the client's; as long as the host itself would. */
  CLOSING_LIMIT_MS = 2000,
  /* Near the end of the drain limit a connection is idle after an eighth of what is left, but not sooner than this. */
  GRACES_LEFT = 8,
  LEAST_GRACE_MS = 10,
};

enum step { STEP_NONE, STEP_DRAIN, STEP_TERM, STEP_LEAVE };

/* Used by the control thread only, but for the first. */
static atomic_bool begun;
static enum step step;
static int64_t due;
static int empty_looks;
static bool hands_off;
static const struct options* options;

bool retire_has_begun(void) { return atomic_load(&begun); }

void retire_begin(const struct options* of_process, bool succeeded) {
  if (retire_has_begun()) return;
  options = of_process;
  adopt_stop();
  hands_off = succeeded && options->keepalive == KEEPALIVE_MIGRATE && handoff_begin(options->keepalive_grace_ms);
  atomic_store(&begun, true);
  seize_listeners();
  step = STEP_DRAIN;
  due = clock_ms();
}

/* Nothing unread, nothing unsent, and the last word was the application's. SIOCOUTQNSD, not SIOCOUTQ: what only waits
 * for a delayed ACK has been sent. */
static bool is_quiet(int fd) {
  int in = 0;
  int out = 0;
  return real.ioctl(fd, SIOCINQ, &in) == 0 && in == 0 &&
         (real.ioctl(fd, SIOCOUTQNSD, &out) != 0 || out == 0);
}

/* It was answered what it had asked, and went idle so long ago. */
static bool is_idle_since(int fd, const struct tcp_info* info, int64_t ms) {
  return info->tcpi_last_data_sent <= info->tcpi_last_data_recv && info->tcpi_last_data_sent >= ms && is_quiet(fd);
}

struct look {
  int open;
  int64_t age;
};

/*
 * A client that asks more often than the grace would keep its connection until the drain limit, and be cut in the middle of
 * an answer. So shorter and shorter pauses will do, as the limit comes near.
 */
static int64_t shrunk(int64_t grace, int64_t deadline) {
  if (deadline < 0) return grace;
  const int64_t left = (deadline - clock_ms()) / GRACES_LEFT;
  return left >= grace ? grace : left > LEAST_GRACE_MS ? left : LEAST_GRACE_MS;
}

static void end_when_idle(int fd, const struct tcp_info* info, int64_t age) {
  /* What could be handed off has been long before. */
  int64_t grace = (hands_off ? 2 : 1) * options->keepalive_grace_ms;
  if (info != NULL && age >= grace) grace = shrunk(grace, drain_deadline());
  /* A Unix socket has no clock: a whole grace without a byte waiting must do, after one for the clients to react. */
  if (info == NULL ? age < 2 * grace : age < grace) return;
  if (info != NULL ? !is_idle_since(fd, info, grace) : !is_quiet(fd)) return;
  /* What is queued stays readable; then the application reads the end, and closes as it does when a client leaves. */
  real.shutdown(fd, SHUT_RD);
}

/*
 * Whether a connection needs the application. Not one that it only has not closed: while the client's side is about to
 * end; and, with libraries that do not look at idle connections (libsoup), after the client has left.
 */
static bool is_open(int fd, const struct tcp_info* info) {
  switch (info->tcpi_state) {
    case TCP_ESTABLISHED:
    case TCP_SYN_RECV:
      return true;
    case TCP_CLOSE_WAIT:
      return !is_idle_since(fd, info, options->keepalive_grace_ms);
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
      return info->tcpi_last_data_sent < CLOSING_LIMIT_MS;
    default:
      return false;
  }
}

static void look_at(int fd, void* context) {
  struct look* look = context;
  struct tcp_info info;
  socklen_t size = sizeof info;
  const struct listener* listener = listeners_accepted(fd);
  if (listener == NULL) return;
  const bool tcp = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
  if (tcp && !is_open(fd, &info)) return;
  ++look->open;
  /* The host's own: one that is just being handed off. */
  if ((marks_of(fd) & MARK_HOST) != 0) return;
  if (hands_off && tcp && info.tcpi_state == TCP_ESTABLISHED) handoff_consider(fd, listener);
  if (options->keepalive != KEEPALIVE_KEEP) end_when_idle(fd, tcp ? &info : NULL, look->age);
}

static void* flush(void* done) {
  fflush(NULL);
  eventfd_write(*(const int*)done, 1);
  return NULL;
}

/* A thread of the application may hold the lock of a stream for ever (fgets on stdin): so another one flushes. */
static void flush_streams(void) {
  static int done;
  pthread_t thread;
  done = eventfd(0, EFD_CLOEXEC);
  if (done < 0 || pthread_create(&thread, NULL, flush, &done) != 0) return;
  struct pollfd wait = {done, POLLIN, 0};
  real.poll(&wait, 1, FLUSH_LIMIT_MS);
}

/* Not exit(): it runs destructors under the feet of threads that live. */
static _Noreturn void leave(void) {
  count_last();
  flush_streams();
  real._exit(0);
}

static void drain(void) {
  const int64_t before = clock_ms();
  struct look look = {.age = drain_age_ms()};
  descriptors_each(look_at, &look);
  const int64_t work = clock_ms() - before;
  if (hands_off) handoff_move();
  empty_looks = look.open == 0 && holds_none() ? empty_looks + 1 : 0;
  const int64_t now = clock_ms();
  const int64_t rest = work * REST_PER_WORK;
  due = now + (rest > LOOK_EVERY_MS ? rest : LOOK_EVERY_MS);
  if (empty_looks < EMPTY_LOOKS) return;
  step = STEP_TERM;
  due = now;
}

static void terminate(void) {
  step = STEP_LEAVE;
  due = clock_ms();
  if (!handler_of_sigterm()) return;
  /* The escalation of the drain limit goes on meanwhile, in the master. */
  due += options->term_grace_ms;
  kill(getpid(), SIGTERM);
}

int64_t retire_step(void) {
  /* It has asked only now: what has been taken from it it does not need, the rest it does itself. */
  if (drain_is_the_applications()) step = STEP_NONE;
  if (step == STEP_NONE) return -1;
  if (clock_ms() < due) return due;
  switch (step) {
    case STEP_NONE:
      break;
    case STEP_DRAIN:
      drain();
      break;
    case STEP_TERM:
      terminate();
      break;
    case STEP_LEAVE:
      leave();
  }
  return due;
}
