#include "migrate.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "liveswap_plugin.h"
#include "handoff.h"
#include "kick.h"
#include "marks.h"
#include "real.h"
#include "swap.h"
#include "uring.h"

enum {
  /* In one look. The application's epoll_ctl() on these waits meanwhile. */
  BATCH_MAX = 1024,
  /* The kernel's clock is as coarse as that. Two round trips more, for who has been told to go on (100 Continue). */
  QUIET_MS = 10,
  /* From one kick to the next: for a thread that was just about to wait. */
  KICK_AGAIN_US = 1000,
};

struct candidate {
  int fd;
  bool dropped;
  uint64_t cookie;
  struct handoff_origin origin;
};

static struct candidate batch[BATCH_MAX];
static int batch_size;

bool migrate_begin(int64_t grace_ms) {
  if (!uring_is_there()) return handoff_begin(grace_ms);
  liveswap_log(LIVESWAP_WARNING, "--keepalive migrate: not with io_uring; idle connections are ended");
  return false;
}

/* What was received in the same tick as the last word may still be unanswered: the stand-in shows it. */
static bool looks_idle(const struct connection* connection) {
  return connection->state == CONNECTION_OPEN && connection->is_empty && connection->last != LAST_CLIENTS &&
         connection->silent_ms >= QUIET_MS + 2 * connection->round_trip_ms;
}

void migrate_consider(int fd, const struct connection* connection, const struct listener* listener) {
  uint64_t cookie = 0;
  if (handoff_is_over() || batch_size == BATCH_MAX || (unsigned)fd >= MARKS_MAX) return;
  if (!looks_idle(connection) || !socket_cookie(fd, &cookie)) return;
  batch[batch_size++] = (struct candidate){
      .fd = fd, .cookie = cookie, .origin = {.listener = listener->cookie, .fd = fd, .received = connection->received}};
}

static void note_reader(int fd) {
  for (int i = 0; i < batch_size; ++i)
    if (batch[i].fd == fd || fd == KICK_ANY) batch[i].origin.is_read = true;
}

static bool has_time_limit(int fd) {
  struct timeval limit = {0};
  socklen_t size = sizeof limit;
  return getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) == 0 && (limit.tv_sec != 0 || limit.tv_usec != 0);
}

/* The application would go on with a duplicate; and a read() with a time limit does not go on after a signal. */
static void drop_unmovable(void) {
  for (int i = 0; i < batch_size; ++i) {
    if (batch[i].origin.is_read && has_time_limit(batch[i].fd)) batch[i].dropped = true;
    for (int k = i + 1; k < batch_size; ++k)
      if (batch[i].cookie == batch[k].cookie) batch[i].dropped = batch[k].dropped = true;
  }
}

/* The application sees a socket that waits, and gives up, as the connection did. */
static void make_alike(int like, int fd) {
  static const int limits[] = {SO_RCVTIMEO, SO_SNDTIMEO};
  real.fcntl(fd, F_SETFL, real.fcntl(like, F_GETFL));
  for (int i = 0; i < 2; ++i) {
    struct timeval limit = {0};
    socklen_t size = sizeof limit;
    if (getsockopt(like, SOL_SOCKET, limits[i], &limit, &size) == 0) setsockopt(fd, SOL_SOCKET, limits[i], &limit, size);
  }
}

/* Still the same, and nobody has received anything. */
static bool is_untouched(int connection, const struct candidate* candidate) {
  struct connection now;
  uint64_t cookie = 0;
  return socket_cookie(connection, &cookie) && cookie == candidate->cookie && connection_look(connection, &now) &&
         looks_idle(&now) && now.received == candidate->origin.received;
}

/* From its end in place on the stand-in must stay: a thread may wait in it already. */
static bool put_in_place(int stand_in, int connection, const struct candidate* candidate) {
  if (!is_untouched(connection, candidate)) return false;
  make_alike(connection, stand_in);
  return swap_learnt(candidate->fd, candidate->cookie, stand_in);
}

static void move(const struct candidate* candidate) {
  int ends[2] = {-1, -1};
  if (!handoff_has_room() || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  const int connection = real.fcntl(candidate->fd, F_DUPFD_CLOEXEC, 0);
  struct moved* const moved = handoff_take(connection, ends[0], &candidate->origin);
  if (moved != NULL && !put_in_place(ends[1], connection, candidate)) handoff_undo(moved);
  real.close(ends[1]);
}

static void move_batch(void) {
  const struct timespec pause = {0, KICK_AGAIN_US * 1000};
  kick_note_readers(note_reader);
  drop_unmovable();
  for (int i = 0; i < batch_size; ++i)
    if (!batch[i].dropped) marks_add(batch[i].fd, MARK_MOVED);
  if (swap_learn())
    for (int i = 0; i < batch_size; ++i)
      if (!batch[i].dropped) move(&batch[i]);
  swap_forget_learnt();
  kick_users_of_moved();
  nanosleep(&pause, NULL);
  kick_users_of_moved();
  for (int i = 0; i < batch_size; ++i) marks_drop(batch[i].fd, MARK_MOVED);
}

void migrate_idle(void) {
  if (batch_size > 0) move_batch();
  batch_size = 0;
  handoff_look();
}
