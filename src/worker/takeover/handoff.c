#include "handoff.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "liveswap_plugin.h"
#include "worker/channel.h"
#include "worker/clock.h"
#include "worker/count.h"
#include "worker/drain.h"
#include "connection.h"
#include "kick.h"
#include "marks.h"
#include "real.h"
#include "traffic.h"

enum {
  MOVED_MAX = 4096,
  RELAY_SIZE = 64 * 1024,
  /* For a thread that was just about to read. */
  ASK_AGAIN_MS = 4,
  /* For one that waits in a read, on a busy machine. */
  READ_LIMIT_MS = 500,
};

struct moved {
  bool used;
  bool owes;        /* the application has read something and not yet answered */
  bool has_spoken;  /* the application, since: there may be more of that */
  bool client_asks; /* to be looked at again */
  bool client_left;
  int connection; /* -1: the master has it */
  int pair;       /* the host's end of the stand-in */
  struct handoff_origin origin; /* `received` goes on */
  int64_t began;
  int64_t since; /* nothing has happened */
};

enum side { SIDE_CONNECTION, SIDE_PAIR, SIDES };

/* Errors are always told: with ONESHOT not over and over. */
enum { NOTHING = EPOLLONESHOT, LISTENS = EPOLLIN | EPOLLRDHUP, WAITS_FOR_ROOM = EPOLLOUT };

static bool is_over; /* nobody takes anything */
static int events_fd = -1;
static int64_t asks_due = -1; /* when to look again at those whose client asks */
static int64_t grace;
static struct moved table[MOVED_MAX];

bool handoff_begin(int64_t grace_ms) {
  grace = grace_ms;
  events_fd = epoll_create1(EPOLL_CLOEXEC);
  if (events_fd >= 0) marks_set(events_fd, MARK_HOST);
  return events_fd >= 0;
}

int handoff_fd(void) { return events_fd; }

bool handoff_is_over(void) { return is_over; }

/* Bytes that nobody has read. */
static int queued(int fd) {
  int bytes = 0;
  return real.ioctl(fd, SIOCINQ, &bytes) == 0 ? bytes : 0;
}

static struct moved* free_place(void) {
  for (struct moved* each = table; each < table + MOVED_MAX; ++each)
    if (!each->used) return each;
  return NULL;
}

bool handoff_has_room(void) { return free_place() != NULL; }

static bool watch(const struct moved* moved, enum side side, int operation, uint32_t events) {
  const uint32_t place = (uint32_t)(moved - table);
  struct epoll_event event = {.events = events, .data.u32 = place * SIDES + side};
  return real.epoll_ctl(events_fd, operation, side == SIDE_PAIR ? moved->pair : moved->connection, &event) == 0;
}

static void close_host(int fd) {
  if (fd < 0) return;
  marks_set(fd, 0);
  real.close(fd);
}

struct moved* handoff_take(int connection, int pair, const struct handoff_origin* origin) {
  struct moved* const moved = connection >= 0 ? free_place() : NULL;
  marks_set(pair, MARK_HOST);
  if (connection >= 0) marks_set(connection, MARK_HOST);
  if (moved == NULL) {
    close_host(pair);
    close_host(connection);
    return NULL;
  }
  const int64_t now = clock_ms();
  *moved = (struct moved){
      .used = true, .origin = *origin, .connection = connection, .pair = pair, .began = now, .since = now};
  if (watch(moved, SIDE_PAIR, EPOLL_CTL_ADD, LISTENS) && watch(moved, SIDE_CONNECTION, EPOLL_CTL_ADD, LISTENS)) return moved;
  handoff_undo(moved);
  return NULL;
}

/* Its file stays open, and would stay in the epoll. */
static void let_go(struct moved* moved) {
  watch(moved, SIDE_CONNECTION, EPOLL_CTL_DEL, NOTHING);
  close_host(moved->connection);
  moved->connection = -1;
}

static void release(struct moved* moved) {
  watch(moved, SIDE_PAIR, EPOLL_CTL_DEL, NOTHING);
  close_host(moved->pair);
  moved->used = false;
}

void handoff_undo(struct moved* moved) {
  let_go(moved);
  release(moved);
}

/* The application has closed, or will not be asked: with a farewell that reaches the client whatever it sends. */
static void end(struct moved* moved) {
  if (moved->connection >= 0) {
    watch(moved, SIDE_CONNECTION, EPOLL_CTL_DEL, NOTHING);
    marks_set(moved->connection, 0);
    liveswap_close_lingering(moved->connection);
  }
  release(moved);
}

enum relayed { RELAYED_ALL, RELAYED_SOME, RELAYED_CLOSED };

/* What has been sent stays where it is until the other side has room for it. `to` -1: it is thrown away. */
static enum relayed relay(int from, int to, uint64_t* total) {
  static char bytes[RELAY_SIZE];
  for (;;) {
    const ssize_t there = real.recv(from, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    if (there < 0) return errno == EAGAIN || errno == EINTR ? RELAYED_ALL : RELAYED_CLOSED;
    if (there == 0) return RELAYED_CLOSED;
    ssize_t sent = to >= 0 ? real.send(to, bytes, (size_t)there, MSG_DONTWAIT | MSG_NOSIGNAL) : there;
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return RELAYED_SOME;
    /* The other side is gone. */
    if (sent < 0) sent = there;
    (void)!real.recv(from, bytes, (size_t)sent, MSG_DONTWAIT);
    *total += (uint64_t)sent;
  }
}

static enum relayed relay_to_client(struct moved* moved) {
  uint64_t total = 0;
  const enum relayed result = relay(moved->pair, moved->connection, &total);
  if (total == 0) return result;
  moved->owes = false;
  moved->has_spoken = true;
  moved->since = clock_ms();
  return result;
}

/* The client has said something: whether the application has read a part of it, by a read that went on. */
static void note_what_was_read(struct moved* moved) {
  struct connection now;
  if (!connection_look(moved->connection, &now)) return;
  const uint64_t read = now.received - moved->origin.received - (uint64_t)queued(moved->connection);
  if (read == 0 || read > now.received) return;
  moved->origin.received += read;
  moved->owes = true;
}

/* The client has left, or closed its side: the application is told, and may still answer. */
static void note_client_left(struct moved* moved) {
  moved->since = clock_ms();
  moved->client_left = true;
  watch(moved, SIDE_CONNECTION, EPOLL_CTL_MOD, NOTHING);
  real.shutdown(moved->pair, SHUT_WR);
}

static void ask_again(struct moved* moved) {
  moved->client_asks = true;
  watch(moved, SIDE_CONNECTION, EPOLL_CTL_MOD, NOTHING);
  if (asks_due < 0) asks_due = clock_ms() + ASK_AGAIN_MS;
}

/* The application gets what the client sends: the connection is not handed off now. */
static void keep(struct moved* moved) {
  moved->owes = true;
  /* Where it has no room for more, later. */
  if (relay(moved->connection, moved->pair, &moved->origin.received) == RELAYED_SOME) ask_again(moved);
}

static void hand_off(struct moved* moved) {
  const struct liveswap_frame frame = {.kind = LIVESWAP_HANDOFF};
  if (relay_to_client(moved) != RELAYED_ALL) return;
  if (is_over || !channel_send_with(frame, &moved->origin.listener, sizeof moved->origin.listener, moved->connection)) {
    keep(moved);
    return;
  }
  count_idle_moved();
  let_go(moved);
  real.shutdown(moved->pair, SHUT_WR);
}

/* It is in the middle of an answer, as what it sends on the stand-in shows. */
static bool is_answering(const struct moved* moved) { return traffic_is_answering(moved->origin.fd, NULL); }

/* The rest of what it has begun to read, too, is the application's. */
static void serve_request(struct moved* moved) {
  note_what_was_read(moved);
  if (queued(moved->connection) == 0) return;
  if (moved->owes || is_answering(moved))
    keep(moved);
  else
    hand_off(moved);
}

static void serve_connection(struct moved* moved, uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    watch(moved, SIDE_PAIR, EPOLL_CTL_MOD, LISTENS);
    watch(moved, SIDE_CONNECTION, EPOLL_CTL_MOD, moved->client_left ? NOTHING : LISTENS);
  } else if (queued(moved->connection) == 0) {
    if (!moved->client_left && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) note_client_left(moved);
  } else if (moved->origin.is_read) {
    /* A thread that has not been woken may be just about to read it. */
    ask_again(moved);
  } else {
    serve_request(moved);
  }
}

static void serve_pair(struct moved* moved) {
  switch (relay_to_client(moved)) {
    case RELAYED_ALL:
      return;
    case RELAYED_SOME:
      watch(moved, SIDE_PAIR, EPOLL_CTL_MOD, NOTHING);
      watch(moved, SIDE_CONNECTION, EPOLL_CTL_MOD, WAITS_FOR_ROOM);
      return;
    case RELAYED_CLOSED:
      end(moved);
  }
}

void handoff_serve(void) {
  struct epoll_event events[64];
  const int count = real.epoll_wait(events_fd, events, sizeof events / sizeof events[0], 0);
  for (int i = 0; i < count; ++i) {
    struct moved* moved = &table[events[i].data.u32 / SIDES];
    if (!moved->used) continue;
    if (events[i].data.u32 % SIDES == SIDE_PAIR)
      serve_pair(moved);
    else if (moved->connection >= 0)
      serve_connection(moved, events[i].events);
  }
}

/* Whether every thread that waited in a read when the stand-in came has been woken; one may block the signal. */
static bool has_been_read_if_ever(const struct moved* moved) {
  return kick_all_handled() || clock_ms() - moved->began >= READ_LIMIT_MS;
}

int64_t handoff_step(void) {
  if (asks_due < 0 || clock_ms() < asks_due) return asks_due;
  asks_due = -1;
  for (struct moved* each = table; each < table + MOVED_MAX; ++each) {
    if (!each->used || !each->client_asks) continue;
    if (each->origin.is_read && !has_been_read_if_ever(each)) {
      ask_again(each);
      continue;
    }
    each->client_asks = false;
    watch(each, SIDE_CONNECTION, EPOLL_CTL_MOD, LISTENS);
    serve_request(each);
  }
  return asks_due;
}

/* Idle for so long that it goes to the successor without a word from either side. */
static bool has_rested(const struct moved* moved, int64_t now) {
  struct connection connection;
  if (now - moved->since < grace) return false;
  if (drain_age_ms() >= drain_patience_ms()) return true;
  return !moved->has_spoken && connection_look(moved->connection, &connection) && connection.last != LAST_UNCLEAR;
}

static void look_at_moved(struct moved* moved, int64_t now) {
  note_what_was_read(moved);
  if (moved->owes || moved->client_asks || is_answering(moved)) return;
  if (moved->client_left && now - moved->since >= grace)
    end(moved);
  else if (!moved->client_left && has_rested(moved, now))
    hand_off(moved);
}

void handoff_look(void) {
  const int64_t now = clock_ms();
  for (struct moved* each = table; each < table + MOVED_MAX; ++each)
    if (each->used && each->connection >= 0) look_at_moved(each, now);
}

void handoff_give_up(void) {
  is_over = true;
  for (struct moved* each = table; each < table + MOVED_MAX; ++each)
    if (each->used && each->connection >= 0) keep(each);
}
