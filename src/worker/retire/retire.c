#include "retire.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handoff_relay.h"
#include "idle_connections.h"
#include "keep_files.h"
#include "worker/api/drain.h"
#include "worker/api/holds.h"
#include "worker/api/listeners.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/io_uring.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/link/channel.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/connection_count.h"
#include "worker/takeover/descendants.h"
#include "worker/takeover/give_back.h"
#include "worker/takeover/revoke.h"
#include "worker/takeover/sigterm_handler.h"
#include "worker/takeover/tcp_state.h"
#include "worker/takeover/traffic.h"

enum {
  LOOK_EVERY_MS = 20,
  /* With many thousand descriptors a look takes milliseconds: it may use a twentieth of one CPU, no more. */
  REST_PER_WORK = 20,
  /* A connection that has just been accepted may be seen by neither of two looks, never by both. */
  EMPTY_LOOKS = 2,
  FLUSH_LIMIT_MS = 200,
  /* The application has closed its side and waits for the client's; as long as the host itself would. */
  CLOSING_LIMIT_MS = 2000,
  /* Near the end of the drain limit a connection is idle after an eighth of what is left, but not sooner than
     this. */
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
static bool sends_unseen; /* by an io_uring */
static const struct options* options;

bool retire_has_begun(void) { return atomic_load(&begun); }

static void tell_master(bool waits) {
  channel_send((struct liveswap_frame){.kind = LIVESWAP_RETIRING, .value = waits}, NULL, 0);
}

void retire_begin(const struct options* of_process, bool succeeded) {
  if (retire_has_begun()) return;
  options = of_process;
  adopted_stop();
  hands_off = succeeded && options->keepalive == KEEPALIVE_MIGRATE &&
              idle_connections_begin(options->keepalive_grace_ms);
  sends_unseen = io_uring_is_there();
  atomic_store(&begun, true);
  tell_master(true);
  revoke_listeners();
  step = STEP_DRAIN;
  due = clock_ms();
}

struct look {
  int open;
  int64_t age;
};

/*
 * A client that asks more often than the grace would keep its connection until the drain limit, and be cut in
 * the middle of an answer. So shorter and shorter pauses will do, as the limit comes near.
 */
static int64_t shrunk(int64_t grace) {
  if (drain_deadline() < 0) return grace;
  const int64_t left = (drain_deadline() - clock_ms()) / GRACES_LEFT;
  return left >= grace ? grace : left > LEAST_GRACE_MS ? left : LEAST_GRACE_MS;
}

/*
 * How long an idle connection is left alone, after its application has had the last word. Where nothing tells
 * whether that was the end of an answer, an application that has been speaking by itself for some time may
 * pause for as long.
 */
static int64_t grace_of(const struct connection* connection, enum http_answer_state answer, int64_t age) {
  /* What could be handed off has been long before. */
  const int64_t grace = (hands_off ? 2 : 1) * options->keepalive_grace_ms;
  const bool is_early = age < drain_patience_ms();
  if (connection->last == LAST_UNCLEAR && is_early) return INT64_MAX;
  if (answer == ANSWER_UNKNOWN && connection->speaks_ms > grace && is_early) return connection->speaks_ms;
  return age >= grace ? shrunk(grace) : grace;
}

/* What is queued stays readable; then the application reads the end, and closes as it does when a client
 * leaves. */
static void show_the_end(int fd) {
  struct pollfd ended = {fd, POLLRDHUP, 0};
  if (libc.poll(&ended, 1, 0) == 1 && (ended.revents & POLLRDHUP) != 0) return;
  if (libc.shutdown(fd, SHUT_RD) == 0) connection_count_idle_ended();
}

static void end_when_idle(int fd, const struct connection* connection, enum http_answer_state answer,
                          int64_t age) {
  if (!connection->is_empty || connection->last == LAST_CLIENTS) return;
  if (age < options->keepalive_grace_ms || connection->silent_ms < grace_of(connection, answer, age)) return;
  show_the_end(fd);
}

/* A Unix socket has no clock: a whole grace without a byte waiting must do, after one for the clients to
 * react. */
static void end_when_quiet(int fd, int64_t age) {
  int in = 0;
  if (age < 2 * options->keepalive_grace_ms || libc.ioctl(fd, SIOCINQ, &in) != 0 || in > 0) return;
  show_the_end(fd);
}

/* Those that were open in a look, with nothing owed, and how much they had been sent by then. One place for
 * many. */
static struct {
  uint64_t cookie;
  uint64_t sent;
} seen[4096];

/* Whether the client closed its side after the whole answer was sent. */
static bool has_left_answered(int fd, const struct connection* connection) {
  uint64_t cookie = 0;
  if (!socket_cookie(fd, &cookie)) return false;
  const size_t place = cookie % (sizeof seen / sizeof seen[0]);
  if (connection->state == CONNECTION_OPEN && connection->is_empty && connection->last != LAST_CLIENTS) {
    seen[place].cookie = cookie;
    seen[place].sent = connection->sent;
  }
  return connection->state == CONNECTION_LEFT && seen[place].cookie == cookie &&
         seen[place].sent == connection->sent;
}

/*
 * Whether a connection needs the application. Not one that it only has not closed: while the client's side is
 * about to end; and, with libraries that do not look at idle connections (libsoup), after the client has left
 * with its answer.
 */
static bool is_open(int fd, const struct connection* connection) {
  const bool is_answered = has_left_answered(fd, connection);
  switch (connection->state) {
    case CONNECTION_OPEN:
      return true;
    case CONNECTION_LEFT:
      return !connection->is_empty || connection->last == LAST_CLIENTS ||
             (!is_answered && connection->silent_ms < options->keepalive_grace_ms);
    case CONNECTION_CLOSED:
      return connection->silent_ms < CLOSING_LIMIT_MS;
    case CONNECTION_OVER:
      return false;
  }
  return true;
}

/* That it has been shown the end of the connection, and has not closed it for another grace: it does not look
 * at idle ones. */
static bool is_ignored(int fd, const struct connection* connection) {
  struct pollfd ended = {fd, POLLRDHUP, 0};
  return options->keepalive != KEEPALIVE_KEEP && connection->is_empty && connection->last != LAST_CLIENTS &&
         connection->silent_ms >= 2 * options->keepalive_grace_ms && libc.poll(&ended, 1, 0) == 1 &&
         (ended.revents & POLLRDHUP) != 0;
}

/* A pause in one is not its end. With the connection over, or closed by the application, there is none. */
static enum http_answer_state answer_at(int fd, const struct connection* connection) {
  if (connection == NULL) return sends_unseen ? ANSWER_UNKNOWN : traffic_answer(fd, NULL);
  const bool can_go_on = connection->state == CONNECTION_OPEN || connection->state == CONNECTION_LEFT;
  return can_go_on ? traffic_answer(fd, connection) : ANSWER_UNKNOWN;
}

static void look_at(int fd, void* context) {
  struct look* look = context;
  struct connection connection;
  const struct listener* listener = listeners_accepted(fd);
  if (listener == NULL) return;
  const uint64_t noted = traffic_noted(fd);
  const bool tcp = tcp_state_look(fd, &connection);
  const enum http_answer_state answer = answer_at(fd, tcp ? &connection : NULL);
  /* What was sent during the look is not in `connection`, which would tell of the silence before it. */
  const bool is_answering = answer == ANSWER_UNFINISHED || traffic_noted(fd) != noted;
  if (tcp && !is_answering && (!is_open(fd, &connection) || is_ignored(fd, &connection))) return;
  ++look->open;
  if (is_answering) return;
  /* The host's own: one that is just being handed off. */
  if ((fd_flags(fd) & FLAG_HOST) != 0) return;
  if (hands_off && tcp && idle_connections_consider(fd, &connection, listener)) return;
  if (options->keepalive == KEEPALIVE_KEEP) return;
  if (tcp)
    end_when_idle(fd, &connection, answer, look->age);
  else
    end_when_quiet(fd, look->age);
}

static void* flush(void* done) {
  fflush(NULL);
  eventfd_write(*(const int*)done, 1);
  return NULL;
}

/* A thread of the application may hold the lock of a stream for ever (fgets on stdin): so another one
 * flushes. */
static void flush_streams(void) {
  static int done;
  pthread_t thread;
  done = eventfd(0, EFD_CLOEXEC);
  if (done < 0 || libc.pthread_create(&thread, NULL, flush, &done) != 0) return;
  struct pollfd wait = {done, POLLIN, 0};
  libc.poll(&wait, 1, FLUSH_LIMIT_MS);
}

/* Not exit(): it runs destructors under the feet of threads that live. */
static _Noreturn void leave(void) {
  connection_count_last();
  flush_streams();
  libc._exit(0);
}

/* What could not be looked at may be open. */
static bool is_empty(void) {
  struct look look = {.age = drain_age_ms()};
  const bool seen = proc_self_each_descriptor(look_at, &look);
  /* Of what is being moved the application's number is its stand-in's. */
  if (!seen || look.open > 0 || (hands_off && handoff_is_busy()) || !revoke_is_complete() || !holds_none() ||
      !give_back_is_done() || io_uring_has_fixed_sockets())
    return false;
  /* Last: a connection that the application has just given to a child is found there. */
  return !descendants_may_be() || descendants_connections() == 0;
}

static void drain(void) {
  const int64_t before = clock_ms();
  empty_looks = is_empty() ? empty_looks + 1 : 0;
  const int64_t work = clock_ms() - before;
  if (hands_off) idle_connections_idle();
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
  tell_master(false);
  if (!sigterm_handler()) return;
  /* The escalation of the drain limit goes on meanwhile, in the master. */
  due += options->term_grace_ms;
  kill(getpid(), SIGTERM);
  keep_files();
}

int64_t retire_step(void) {
  /* It has asked only now: what has been taken from it it does not need, the rest it does itself. */
  if (step != STEP_NONE && drain_is_the_applications()) {
    step = STEP_NONE;
    tell_master(false);
  }
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
