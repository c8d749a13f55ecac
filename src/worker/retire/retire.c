#include "retire.h"

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
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/link/channel.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/connection_count.h"
#include "worker/takeover/descendants.h"
#include "worker/takeover/give_back.h"
#include "worker/takeover/io_uring.h"
#include "worker/takeover/revoke.h"
#include "worker/takeover/sigterm_handler.h"
#include "worker/takeover/tcp_state.h"
#include "worker/takeover/traffic.h"

enum {
  SCAN_EVERY_MS = 20,
  /* A connection that is just being accepted may be missed by one scan, not by two. */
  EMPTY_SCANS = 2,
  FLUSH_LIMIT_MS = 200,
  /* How long to wait for the client's FIN after the application's; as liveswap_close_lingering does. */
  CLOSING_LIMIT_MS = 2000,
  /* Near the drain limit a connection counts as idle after an eighth of the time left, but not sooner than
   * after LEAST_GRACE_MS. */
  GRACES_TO_LIMIT = 8,
  LEAST_GRACE_MS = 10,
};

enum step { STEP_NONE, STEP_DRAIN, STEP_TERM, STEP_LEAVE };

/* Used by the control thread only, except `begun`. */
static atomic_bool begun;
static enum step step;
static int64_t due;
static int empty_scans;
static bool hands_off;
static bool sends_unseen; /* there is an io_uring, whose sends are not interposed */
static const struct options* options;

bool retire_has_begun(void) { return atomic_load(&begun); }

static void tell_master(bool waits) {
  channel_send((struct liveswap_frame){.kind = LIVESWAP_RETIRING, .value = waits}, NULL, 0);
}

void retire_begin(const struct options* of_process, bool succeeded) {
  if (retire_has_begun()) return;
  options = of_process;
  adopted_stop();
  const bool may_hand_off = options->keepalive == KEEPALIVE_MIGRATE || options->keepalive == KEEPALIVE_HTTP;
  hands_off = succeeded && may_hand_off && idle_connections_begin(options->keepalive_grace_ms);
  sends_unseen = io_uring_is_there();
  atomic_store(&begun, true);
  tell_master(true);
  revoke_listeners();
  step = STEP_DRAIN;
  due = clock_ms();
}

struct scan {
  int open;
  int64_t age;
};

/*
 * A client that sends requests more often than the grace would keep its connection until the drain limit, and
 * then lose an answer. So the grace shrinks near the limit.
 */
static int64_t shrink(int64_t grace) {
  if (drain_deadline() < 0) return grace;
  const int64_t left = (drain_deadline() - clock_ms()) / GRACES_TO_LIMIT;
  return left >= grace ? grace : left > LEAST_GRACE_MS ? left : LEAST_GRACE_MS;
}

/*
 * How long a connection stays open after the application has sent last. If nothing shows whether the answer
 * was complete, this is the time for which the application had been sending (speaks_ms), if longer than the
 * grace: a long answer may have long pauses. After half of the drain limit that no longer counts.
 */
static int64_t grace_of(const struct connection* connection, enum http_answer_state answer, int64_t age) {
  /* Twice as long with hand-off: after one grace, connections that can be handed off are. */
  const int64_t grace = (hands_off ? 2 : 1) * options->keepalive_grace_ms;
  const bool is_early = age < drain_patience_ms();
  if (connection->last == LAST_UNCLEAR && is_early) return INT64_MAX;
  if (answer == ANSWER_UNKNOWN && connection->speaks_ms > grace && is_early) return connection->speaks_ms;
  return age >= grace ? shrink(grace) : grace;
}

/* Queued bytes stay readable. Then the application reads end of file, and closes the connection as for a
 * client that leaves. */
static void show_end_of_file(int fd) {
  if (!socket_is_ended(fd) && libc.shutdown(fd, SHUT_RD) == 0) connection_count_idle_ended();
}

static void end_when_idle(int fd, const struct connection* connection, enum http_answer_state answer,
                          int64_t age) {
  if (!connection->is_empty || connection->last == LAST_CLIENTS) return;
  if (age < options->keepalive_grace_ms || connection->silent_ms < grace_of(connection, answer, age)) return;
  show_end_of_file(fd);
}

/* The kernel keeps no times for a Unix socket. So the connection is kept for two graces after the drain
 * began, and then until no byte from the client waits. */
static void end_when_quiet(int fd, int64_t age) {
  int in = 0;
  if (age < 2 * options->keepalive_grace_ms || libc.ioctl(fd, SIOCINQ, &in) != 0 || in > 0) return;
  show_end_of_file(fd);
}

/* Connections that were open with no answer owed in an earlier scan, and the bytes sent to them by then.
 * Indexed by a hash of the cookie; collisions overwrite. */
static struct {
  uint64_t cookie;
  uint64_t sent;
} answered[4096];

/* Whether the client closed its side after the complete answer was sent. */
static bool has_left_answered(int fd, const struct connection* connection) {
  uint64_t cookie = 0;
  if (!socket_cookie(fd, &cookie)) return false;
  const size_t place = cookie % (sizeof answered / sizeof answered[0]);
  if (connection->state == CONNECTION_OPEN && connection->is_empty && connection->last != LAST_CLIENTS) {
    answered[place].cookie = cookie;
    answered[place].sent = connection->sent;
  }
  return connection->state == CONNECTION_LEFT && answered[place].cookie == cookie &&
         answered[place].sent == connection->sent;
}

/*
 * Whether a connection needs the application. False if the application has merely not closed the descriptor:
 * it has shut the connection down, and the client's FIN has not come for some time; or the client has left
 * after the answer, and the application's library does not poll idle connections (libsoup).
 */
static bool is_open(int fd, const struct connection* connection) {
  const bool is_answered = has_left_answered(fd, connection);
  switch (connection->state) {
    case CONNECTION_OPEN: return true;
    case CONNECTION_LEFT:
      return !connection->is_empty || connection->last == LAST_CLIENTS ||
             (!is_answered && connection->silent_ms < options->keepalive_grace_ms);
    case CONNECTION_CLOSED: return connection->silent_ms < CLOSING_LIMIT_MS;
    case CONNECTION_OVER: return false;
  }
  return true;
}

/* Whether the application ignores end of file: a further grace has passed, and the connection is not
 * closed. */
static bool ignores_end_of_file(int fd, const struct connection* connection) {
  return options->keepalive != KEEPALIVE_KEEP && connection->is_empty && connection->last != LAST_CLIENTS &&
         connection->silent_ms >= 2 * options->keepalive_grace_ms && socket_is_ended(fd);
}

/* The state of the answer. A connection that is over, or that the application has closed, has none. */
static enum http_answer_state answer_at(int fd, const struct connection* connection) {
  if (connection == NULL) return sends_unseen ? ANSWER_UNKNOWN : traffic_answer(fd, NULL);
  const bool can_go_on = connection->state == CONNECTION_OPEN || connection->state == CONNECTION_LEFT;
  return can_go_on ? traffic_answer(fd, connection) : ANSWER_UNKNOWN;
}

/* With KEEPALIVE_HTTP only what was seen to be HTTP/1.x, or has sent nothing: another protocol may keep state
 * in its connections (a TLS session, a redis client that has chosen a database). */
static bool may_be_handed_off(enum http_answer_state answer) {
  return hands_off && (options->keepalive == KEEPALIVE_MIGRATE || answer == ANSWER_COMPLETE);
}

static void examine(int fd, void* context) {
  struct scan* scan = context;
  struct connection connection;
  const struct listener* listener = listeners_accepted(fd);
  if (listener == NULL) return;
  const uint64_t noted = traffic_noted(fd);
  const bool tcp = tcp_state_look(fd, &connection);
  const enum http_answer_state answer = answer_at(fd, tcp ? &connection : NULL);
  /* If the count has changed since tcp_state_look(), the application is sending now. */
  const bool is_answering = answer == ANSWER_UNFINISHED || traffic_noted(fd) != noted;
  if (tcp && !is_answering && (!is_open(fd, &connection) || ignores_end_of_file(fd, &connection))) return;
  ++scan->open;
  if (is_answering) return;
  /* The host's own: being handed off. */
  if ((fd_flags(fd) & FLAG_HOST) != 0) return;
  if (tcp && may_be_handed_off(answer) && idle_connections_consider(fd, &connection, listener)) return;
  if (options->keepalive == KEEPALIVE_KEEP) return;
  if (tcp) end_when_idle(fd, &connection, answer, scan->age);
  else end_when_quiet(fd, scan->age);
}

static void* flush(void* done) {
  fflush(NULL);
  eventfd_write(*(const int*)done, 1);
  return NULL;
}

/* A thread of the application may hold a stream's lock for ever (fgets on stdin): flush in another thread,
 * and do not wait for long. */
static void flush_streams(void) {
  static int done;
  pthread_t thread;
  done = eventfd(0, EFD_CLOEXEC);
  if (done < 0 || libc.pthread_create(&thread, NULL, flush, &done) != 0) return;
  pthread_detach(thread);
  struct pollfd wait = {done, POLLIN, 0};
  libc.poll(&wait, 1, FLUSH_LIMIT_MS);
}

/* Not exit(), which runs destructors while other threads use the objects. */
static _Noreturn void end_process(void) {
  connection_count_last();
  flush_streams();
  libc._exit(0);
}

/* Connections that could not be examined count as open. */
static bool is_empty(void) {
  struct scan scan = {.age = drain_age_ms()};
  const bool is_complete = proc_self_each_descriptor(examine, &scan);
  /* For connections that are being handed off, the application's descriptor is the placeholder. */
  if (!is_complete || scan.open > 0 || (hands_off && handoff_is_busy()) || !revoke_is_complete() ||
      !holds_none() || !give_back_is_done() || io_uring_has_fixed_sockets())
    return false;
  /* Last, so that a connection that was just passed to a child is found there. */
  return !descendants_may_be() || descendants_connections() == 0;
}

static void drain(void) {
  const int64_t before = clock_cpu_ms();
  empty_scans = is_empty() ? empty_scans + 1 : 0;
  due = clock_due_again(before, SCAN_EVERY_MS);
  if (hands_off) idle_connections_step();
  if (empty_scans < EMPTY_SCANS) return;
  step = STEP_TERM;
  due = clock_ms();
}

static void terminate(void) {
  step = STEP_LEAVE;
  due = clock_ms();
  connection_count_none();
  tell_master(false);
  if (!sigterm_handler()) return;
  /* The master still uses force at the drain limit. */
  due += options->term_grace_ms;
  kill(getpid(), SIGTERM);
  keep_files();
}

int64_t retire_step(void) {
  /* The application has only now begun to drain by itself. The rest of the drain is left to it. */
  if (step != STEP_NONE && drain_is_cooperative()) {
    step = STEP_NONE;
    tell_master(false);
  }
  if (step == STEP_NONE) return -1;
  if (clock_ms() < due) return due;
  switch (step) {
    case STEP_NONE: break;
    case STEP_DRAIN: drain(); break;
    case STEP_TERM: terminate(); break;
    case STEP_LEAVE: end_process();
  }
  return due;
}
