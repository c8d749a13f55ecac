#include "idle_connections.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "handoff_relay.h"
#include "liveswap_plugin.h"
#include "worker/api/drain.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/socket.h"
#include "worker/base/thread_interrupt.h"
#include "worker/takeover/io_uring.h"
#include "worker/takeover/replace_fd.h"
#include "worker/takeover/traffic.h"

enum {
  /* Connections replaced at once. The application's epoll_ctl() on them blocks meanwhile. */
  BATCH_MAX = 1024,
  /* The resolution of the kernel's clock. Two round trips are added for a client that was told to go on (100
   * Continue). */
  QUIET_MS = 10,
  /* After a descriptor was missing: the application may need those that get free. */
  NO_DESCRIPTOR_REST_MS = 200,
};

struct candidate {
  int fd;
  bool dropped;
  bool may_be_read; /* a running thread may be about to read */
  uint64_t cookie;
  struct handoff_origin origin;
};

static struct candidate batch[BATCH_MAX];
static int batch_size;
static int64_t next_batch_at;

/* By descriptor: the last attempt failed. Such a connection is tried again in every other scan. */
static bool has_failed[FD_FLAGS_MAX];

bool idle_connections_begin(int64_t grace_ms) {
  if (!io_uring_is_there()) return handoff_begin(grace_ms);
  liveswap_log(LIVESWAP_WARNING,
               "--keepalive migrate does not work with io_uring; idle connections are closed");
  return false;
}

/* Includes LAST_UNCLEAR: if the application still owes an answer, the host receives the answer through the
 * placeholder. */
static bool looks_idle(const struct connection* connection) {
  return connection->state == CONNECTION_OPEN && connection->is_empty && connection->last != LAST_CLIENTS &&
         connection->silent_ms >= QUIET_MS + 2 * connection->round_trip_ms;
}

/* For a later step. A connection that finds no place within half of the drain limit is ended as idle. */
static bool may_wait(void) { return drain_age_ms() < drain_patience_ms(); }

bool idle_connections_consider(int fd, const struct connection* connection, const struct listener* listener) {
  uint64_t cookie = 0;
  if (handoff_is_over() || (unsigned)fd >= FD_FLAGS_MAX) return false;
  const bool failed_before = has_failed[fd];
  has_failed[fd] = false;
  if (failed_before || !looks_idle(connection) || !socket_cookie(fd, &cookie)) return false;
  if (batch_size == BATCH_MAX || batch_size >= handoff_room() || clock_ms() < next_batch_at)
    return may_wait();
  batch[batch_size++] = (struct candidate){
      .fd = fd,
      .cookie = cookie,
      .origin = {.listener = listener->cookie, .fd = fd, .received = connection->received}};
  return true;
}

static void note_reader(int fd) {
  for (int i = 0; i < batch_size; ++i) {
    if (batch[i].fd == fd) batch[i].origin.is_read = true;
    if (batch[i].fd == fd || fd == INTERRUPT_ANY) batch[i].may_be_read = true;
  }
}

static bool waits_with_limit(int fd) {
  return (libc.fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 && socket_receive_limit(fd) >= 0;
}

/* Drops connections that cannot be replaced: those with two descriptors, and those that a thread may be
 * reading with a time limit, because such a read() is not restarted after a signal. */
static void drop_unmovable(void) {
  for (int i = 0; i < batch_size; ++i) {
    if (batch[i].may_be_read && waits_with_limit(batch[i].fd)) batch[i].dropped = true;
    for (int k = i + 1; k < batch_size; ++k)
      if (batch[i].cookie == batch[k].cookie) batch[i].dropped = batch[k].dropped = true;
  }
}

/* Copies blocking mode and time limits of the connection to the placeholder. */
static void copy_mode(int like, int fd) {
  libc.fcntl(fd, F_SETFL, libc.fcntl(like, F_GETFL));
  socket_copy_limit(like, fd, SO_RCVTIMEO);
  socket_copy_limit(like, fd, SO_SNDTIMEO);
}

/* Whether the connection is still the same and nothing was received since. */
static bool is_untouched(int connection, const struct candidate* candidate) {
  struct connection now;
  return socket_is(connection, candidate->cookie) && tcp_state_look(connection, &now) && looks_idle(&now) &&
         now.received == candidate->origin.received && !traffic_is_answering(candidate->fd, &now);
}

/* Once in place, the placeholder must stay: a thread may already wait on it. */
static bool replace_by(int placeholder, int connection, const struct candidate* candidate) {
  if (!is_untouched(connection, candidate)) return false;
  copy_mode(connection, placeholder);
  return replace_fd_learnt(candidate->fd, candidate->cookie, placeholder);
}

enum outcome { REPLACED, NOT_REPLACED, NO_DESCRIPTOR };

static enum outcome replace_one(const struct candidate* candidate) {
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return NO_DESCRIPTOR;
  const int connection = libc.fcntl(candidate->fd, F_DUPFD_CLOEXEC, 0);
  struct handoff* const handoff = handoff_take(connection, ends[0], &candidate->origin);
  const bool done = handoff != NULL && replace_by(ends[1], connection, candidate);
  if (handoff != NULL && !done) handoff_undo(handoff);
  libc.close(ends[1]);
  if (connection < 0) return NO_DESCRIPTOR;
  return done ? REPLACED : NOT_REPLACED;
}

/* Stops at the first connection for which no descriptor is left: some get free as others are handed off. */
static void replace_each(bool learnt) {
  for (int i = 0; i < batch_size; ++i) {
    const enum outcome outcome = batch[i].dropped || !learnt ? NOT_REPLACED : replace_one(&batch[i]);
    if (outcome == NO_DESCRIPTOR && may_wait()) {
      next_batch_at = clock_ms() + NO_DESCRIPTOR_REST_MS;
      return;
    }
    has_failed[batch[i].fd] = outcome != REPLACED;
  }
}

/* Threads may be in calls that have already looked up a connection. They are interrupted after the
 * replacement, and nothing is handed off before these calls have ended (retire/handoff_relay.c). */
static void replace_batch(void) {
  interrupt_note_readers(note_reader);
  drop_unmovable();
  for (int i = 0; i < batch_size; ++i)
    if (!batch[i].dropped) fd_flags_add(batch[i].fd, FLAG_HANDOFF);
  replace_each(replace_fd_learn());
  replace_fd_forget_learnt();
  interrupt_handoff_users();
  for (int i = 0; i < batch_size; ++i) fd_flags_remove(batch[i].fd, FLAG_HANDOFF);
}

void idle_connections_step(void) {
  if (batch_size > 0) replace_batch();
  batch_size = 0;
  handoff_look();
}
