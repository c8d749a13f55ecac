#include "handoff_relay.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "liveswap_plugin.h"
#include "relay_bytes.h"
#include "worker/api/drain.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/thread_interrupt.h"
#include "worker/link/channel.h"
#include "worker/takeover/connection_count.h"
#include "worker/takeover/tcp_state.h"
#include "worker/takeover/traffic.h"

enum {
  MOVED_MAX = 4096,
  LOOK_AGAIN_MS = 4,
  /* How long to wait for a thread that blocks the signal which ends reads. */
  READ_LIMIT_MS = 500,
};

struct moved {
  bool used;
  bool owes_answer;       /* the application has read a request and not yet answered */
  bool may_have_answered; /* the owed answer may have been sent already: the request was read before the
                             replacement */
  bool has_sent;          /* the application has sent since, and may send more */
  bool client_has_sent;   /* the client has sent; look again at `look_again_due` */
  bool client_left;
  int connection;               /* -1: handed to the master */
  int pair;                     /* the host's end of the socket pair */
  struct handoff_origin origin; /* `received` is kept up to date */
  int64_t replaced_at;
  int64_t client_sent_at; /* when `client_has_sent` was set */
  int64_t last_event;
};

enum side { SIDE_CONNECTION, SIDE_PAIR, SIDES };

/* epoll reports errors always; with ONESHOT only once. */
enum { NOTHING = EPOLLONESHOT, READABLE = EPOLLIN | EPOLLRDHUP, WRITABLE = EPOLLOUT };

static bool has_no_successor; /* no successor takes connections any more */
static int events_fd = -1;
static int64_t look_again_due = -1; /* when to look again at connections with `client_has_sent`; -1: never */
static int64_t grace;
static struct moved table[MOVED_MAX];

bool handoff_begin(int64_t grace_ms) {
  grace = grace_ms;
  events_fd = host_fd(epoll_create1(EPOLL_CLOEXEC));
  return events_fd >= 0;
}

int handoff_fd(void) { return events_fd; }

bool handoff_is_over(void) { return has_no_successor; }

/* The number of unread bytes. */
static int unread_bytes(int fd) {
  int bytes = 0;
  return libc.ioctl(fd, SIOCINQ, &bytes) == 0 ? bytes : 0;
}

static struct moved* free_place(void) {
  for (struct moved* each = table; each < table + MOVED_MAX; ++each)
    if (!each->used) return each;
  return NULL;
}

static bool watch(const struct moved* moved, enum side side, int operation, uint32_t events) {
  const uint32_t place = (uint32_t)(moved - table);
  struct epoll_event event = {.events = events, .data.u32 = place * SIDES + side};
  return libc.epoll_ctl(events_fd, operation, side == SIDE_PAIR ? moved->pair : moved->connection, &event) ==
         0;
}

struct moved* handoff_take(int connection, int pair, const struct handoff_origin* origin) {
  struct moved* const moved = connection >= 0 ? free_place() : NULL;
  host_fd(pair);
  host_fd(connection);
  if (moved == NULL) {
    host_fd_close(pair);
    host_fd_close(connection);
    return NULL;
  }
  const int64_t now = clock_ms();
  *moved = (struct moved){.used = true,
                          .origin = *origin,
                          .connection = connection,
                          .pair = pair,
                          .replaced_at = now,
                          .last_event = now};
  if (watch(moved, SIDE_PAIR, EPOLL_CTL_ADD, READABLE) &&
      watch(moved, SIDE_CONNECTION, EPOLL_CTL_ADD, READABLE))
    return moved;
  handoff_undo(moved);
  return NULL;
}

/* The open file lives on elsewhere, so the epoll registration must be removed first. */
static void close_connection(struct moved* moved) {
  watch(moved, SIDE_CONNECTION, EPOLL_CTL_DEL, NOTHING);
  host_fd_close(moved->connection);
  moved->connection = -1;
}

static void release(struct moved* moved) {
  watch(moved, SIDE_PAIR, EPOLL_CTL_DEL, NOTHING);
  host_fd_close(moved->pair);
  moved->used = false;
}

void handoff_undo(struct moved* moved) {
  close_connection(moved);
  release(moved);
}

/* The application has closed, or is treated so. Lingers, so that the last bytes reach the client. */
static void end(struct moved* moved) {
  if (moved->connection >= 0) {
    watch(moved, SIDE_CONNECTION, EPOLL_CTL_DEL, NOTHING);
    fd_flags_set(moved->connection, 0);
    liveswap_close_lingering(moved->connection);
  }
  release(moved);
}

static enum relayed relay_to_client(struct moved* moved) {
  uint64_t total = 0;
  const enum relayed result = relay(moved->pair, moved->connection, &total);
  if (total == 0) return result;
  moved->owes_answer = moved->may_have_answered = false;
  moved->has_sent = true;
  moved->last_event = clock_ms();
  return result;
}

/* Whether the calls that the application makes on its descriptor show an unfinished answer or request. */
static bool is_answering(const struct moved* moved) {
  struct connection now;
  return tcp_state_look(moved->connection, &now) && traffic_is_answering(moved->origin.fd, &now);
}

/* Detects that a read which began before the placeholder was there has taken bytes from the connection
 * itself. */
static void note_bytes_read(struct moved* moved) {
  struct connection now;
  uint64_t unread = 0;
  if (!tcp_state_look_unread(moved->connection, &now, &unread)) return;
  const uint64_t read = now.received - moved->origin.received - unread;
  if (read == 0 || read > now.received) return;
  moved->origin.received += read;
  moved->origin.is_read = false;
  moved->last_event = clock_ms();
  if (!moved->owes_answer) moved->owes_answer = moved->may_have_answered = true;
}

/* After the grace, the kernel shows that the application has sent last; or, if the kernel cannot tell, the
 * answer was seen to be complete. */
static void note_answered(struct moved* moved, int64_t now) {
  struct connection connection;
  if (!moved->may_have_answered || now - moved->last_event < grace || is_answering(moved)) return;
  if (!tcp_state_look(moved->connection, &connection)) return;
  const bool is_whole = traffic_answer(moved->origin.fd, &connection) == ANSWER_COMPLETE;
  if (connection.last == LAST_APPLICATIONS || (connection.last == LAST_UNCLEAR && is_whole))
    moved->owes_answer = moved->may_have_answered = false;
}

/* Whether a read that began before the placeholder was there may still take bytes from the connection. */
static bool may_be_read(const struct moved* moved, int64_t now) {
  const int64_t since = moved->origin.is_read ? moved->client_sent_at : moved->replaced_at;
  return now - since < READ_LIMIT_MS && !interrupt_is_read_over();
}

/* The client has closed its side. The application gets end of file and may still answer. */
static void note_client_left(struct moved* moved) {
  moved->last_event = clock_ms();
  moved->client_left = true;
  watch(moved, SIDE_CONNECTION, EPOLL_CTL_MOD, NOTHING);
  libc.shutdown(moved->pair, SHUT_WR);
}

static void look_again(struct moved* moved) {
  if (!moved->client_has_sent) moved->client_sent_at = clock_ms();
  moved->client_has_sent = true;
  watch(moved, SIDE_CONNECTION, EPOLL_CTL_MOD, NOTHING);
  if (look_again_due < 0) look_again_due = clock_ms() + LOOK_AGAIN_MS;
}

/* Passes the client's bytes to the application; the connection is not handed off now. */
static void relay_to_application(struct moved* moved) {
  moved->owes_answer = true;
  moved->may_have_answered = false;
  /* A full socket pair: the rest later. */
  if (relay(moved->connection, moved->pair, &moved->origin.received) == RELAYED_SOME) look_again(moved);
}

static void hand_off(struct moved* moved) {
  const struct liveswap_frame frame = {.kind = LIVESWAP_HANDOFF};
  if (relay_to_client(moved) != RELAYED_ALL) return;
  if (has_no_successor ||
      !channel_send_with(frame, &moved->origin.listener, sizeof moved->origin.listener, moved->connection)) {
    relay_to_application(moved);
    return;
  }
  connection_count_idle_moved();
  close_connection(moved);
  libc.shutdown(moved->pair, SHUT_WR);
}

/* If the application has begun to read a request, the rest must go there too. */
static void serve_request(struct moved* moved) {
  note_bytes_read(moved);
  if (unread_bytes(moved->connection) == 0) return;
  if (moved->owes_answer || is_answering(moved)) relay_to_application(moved);
  else hand_off(moved);
}

static void serve_connection(struct moved* moved, uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    watch(moved, SIDE_PAIR, EPOLL_CTL_MOD, READABLE);
    watch(moved, SIDE_CONNECTION, EPOLL_CTL_MOD, moved->client_left ? NOTHING : READABLE);
  } else if (unread_bytes(moved->connection) == 0) {
    if (!moved->client_left && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) note_client_left(moved);
  } else if (!interrupt_is_read_over()) {
    look_again(moved);
  } else {
    serve_request(moved);
  }
}

static void serve_pair(struct moved* moved) {
  switch (relay_to_client(moved)) {
    case RELAYED_ALL: return;
    case RELAYED_SOME:
      watch(moved, SIDE_PAIR, EPOLL_CTL_MOD, NOTHING);
      watch(moved, SIDE_CONNECTION, EPOLL_CTL_MOD, WRITABLE);
      return;
    case RELAYED_CLOSED: end(moved);
  }
}

void handoff_serve(void) {
  struct epoll_event events[64];
  const int count = libc.epoll_wait(events_fd, events, sizeof events / sizeof events[0], 0);
  for (int i = 0; i < count; ++i) {
    struct moved* moved = &table[events[i].data.u32 / SIDES];
    if (!moved->used) continue;
    if (events[i].data.u32 % SIDES == SIDE_PAIR) serve_pair(moved);
    else if (moved->connection >= 0) serve_connection(moved, events[i].events);
  }
}

int64_t handoff_step(void) {
  const int64_t now = clock_ms();
  if (look_again_due < 0 || now < look_again_due) return look_again_due;
  look_again_due = -1;
  for (struct moved* each = table; each < table + MOVED_MAX; ++each) {
    if (!each->used || !each->client_has_sent) continue;
    if (may_be_read(each, now)) {
      look_again(each);
      continue;
    }
    each->client_has_sent = false;
    watch(each, SIDE_CONNECTION, EPOLL_CTL_MOD, READABLE);
    serve_request(each);
  }
  return look_again_due;
}

/* Idle for so long that no new request is needed to hand the connection off. */
static bool may_be_handed_off(const struct moved* moved, int64_t now) {
  struct connection connection;
  if (now - moved->last_event < grace) return false;
  if (drain_age_ms() >= drain_patience_ms()) return true;
  return !moved->has_sent && tcp_state_look(moved->connection, &connection) &&
         connection.last != LAST_UNCLEAR;
}

static bool is_busy(const struct moved* moved) {
  return moved->owes_answer || moved->client_has_sent || is_answering(moved) ||
         unread_bytes(moved->pair) > 0 || unread_bytes(moved->connection) > 0;
}

static void examine(struct moved* moved, int64_t now) {
  note_bytes_read(moved);
  note_answered(moved, now);
  if (is_busy(moved)) return;
  /* A thread that blocks the signal stays in its read, and would take the next request from the successor. */
  const bool is_stuck = moved->origin.is_read && !interrupt_is_read_over();
  if (moved->client_left ? now - moved->last_event >= grace
                         : is_stuck && now - moved->last_event >= 2 * grace)
    end(moved);
  else if (!moved->client_left && !is_stuck && may_be_handed_off(moved, now) && !may_be_read(moved, now))
    hand_off(moved);
}

bool handoff_is_busy(void) {
  for (const struct moved* each = table; each < table + MOVED_MAX; ++each)
    if (each->used && each->connection >= 0 && is_busy(each)) return true;
  return false;
}

void handoff_look(void) {
  const int64_t now = clock_ms();
  for (struct moved* each = table; each < table + MOVED_MAX; ++each)
    if (each->used && each->connection >= 0) examine(each, now);
}

void handoff_give_up(void) {
  has_no_successor = true;
  for (struct moved* each = table; each < table + MOVED_MAX; ++each)
    if (each->used && each->connection >= 0) relay_to_application(each);
}
