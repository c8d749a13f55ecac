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
  HANDOFF_MAX = 4096,
  LOOK_AGAIN_MS = 4,
  /* How long to wait for a thread that blocks the signal which ends reads. */
  READ_LIMIT_MS = 500,
};

struct handoff {
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
static struct handoff table[HANDOFF_MAX];
static int used_places;

bool handoff_begin(int64_t grace_ms) {
  grace = grace_ms;
  events_fd = host_fd(epoll_create1(EPOLL_CLOEXEC));
  return events_fd >= 0;
}

int handoff_fd(void) { return events_fd; }

bool handoff_is_over(void) { return has_no_successor; }

int handoff_room(void) { return HANDOFF_MAX - used_places; }

/* The number of unread bytes. */
static int unread_bytes(int fd) {
  int bytes = 0;
  return libc.ioctl(fd, SIOCINQ, &bytes) == 0 ? bytes : 0;
}

static struct handoff* free_place(void) {
  for (struct handoff* each = table; each < table + HANDOFF_MAX; ++each)
    if (!each->used) return each;
  return NULL;
}

static bool watch(const struct handoff* handoff, enum side side, int operation, uint32_t events) {
  const uint32_t place = (uint32_t)(handoff - table);
  struct epoll_event event = {.events = events, .data.u32 = place * SIDES + side};
  return libc.epoll_ctl(events_fd, operation, side == SIDE_PAIR ? handoff->pair : handoff->connection,
                        &event) == 0;
}

struct handoff* handoff_take(int connection, int pair, const struct handoff_origin* origin) {
  struct handoff* const handoff = connection >= 0 ? free_place() : NULL;
  host_fd(pair);
  host_fd(connection);
  if (handoff == NULL) {
    host_fd_close(pair);
    host_fd_close(connection);
    return NULL;
  }
  const int64_t now = clock_ms();
  ++used_places;
  *handoff = (struct handoff){.used = true,
                              .origin = *origin,
                              .connection = connection,
                              .pair = pair,
                              .replaced_at = now,
                              .last_event = now};
  if (watch(handoff, SIDE_PAIR, EPOLL_CTL_ADD, READABLE) &&
      watch(handoff, SIDE_CONNECTION, EPOLL_CTL_ADD, READABLE))
    return handoff;
  handoff_undo(handoff);
  return NULL;
}

/* The open file lives on elsewhere, so the epoll registration must be removed first. */
static void close_connection(struct handoff* handoff) {
  watch(handoff, SIDE_CONNECTION, EPOLL_CTL_DEL, NOTHING);
  host_fd_close(handoff->connection);
  handoff->connection = -1;
}

static void release(struct handoff* handoff) {
  watch(handoff, SIDE_PAIR, EPOLL_CTL_DEL, NOTHING);
  host_fd_close(handoff->pair);
  --used_places;
  handoff->used = false;
}

void handoff_undo(struct handoff* handoff) {
  close_connection(handoff);
  release(handoff);
}

/* The application has closed, or is treated so. Lingers, so that the last bytes reach the client. */
static void end(struct handoff* handoff) {
  if (handoff->connection >= 0) {
    watch(handoff, SIDE_CONNECTION, EPOLL_CTL_DEL, NOTHING);
    fd_flags_set(handoff->connection, 0);
    liveswap_close_lingering(handoff->connection);
  }
  release(handoff);
}

static enum relayed relay_to_client(struct handoff* handoff) {
  uint64_t total = 0;
  const enum relayed result = relay(handoff->pair, handoff->connection, &total);
  if (total == 0) return result;
  handoff->owes_answer = handoff->may_have_answered = false;
  handoff->has_sent = true;
  handoff->last_event = clock_ms();
  return result;
}

/* Whether the calls that the application makes on its descriptor show an unfinished answer or request. */
static bool is_answering(const struct handoff* handoff) {
  struct connection now;
  return tcp_state_look(handoff->connection, &now) && traffic_is_answering(handoff->origin.fd, &now);
}

/* Detects that a read which began before the placeholder was there has taken bytes from the connection
 * itself. */
static void note_bytes_read(struct handoff* handoff) {
  struct connection now;
  uint64_t unread = 0;
  if (!tcp_state_look_unread(handoff->connection, &now, &unread)) return;
  const uint64_t read = now.received - handoff->origin.received - unread;
  if (read == 0 || read > now.received) return;
  handoff->origin.received += read;
  handoff->origin.is_read = false;
  handoff->last_event = clock_ms();
  if (!handoff->owes_answer) handoff->owes_answer = handoff->may_have_answered = true;
}

/* After the grace, the kernel shows that the application has sent last; or, if the kernel cannot tell, the
 * answer was seen to be complete. */
static void note_answered(struct handoff* handoff, int64_t now) {
  struct connection connection;
  if (!handoff->may_have_answered || now - handoff->last_event < grace || is_answering(handoff)) return;
  if (!tcp_state_look(handoff->connection, &connection)) return;
  const bool is_whole = traffic_answer(handoff->origin.fd, &connection) == ANSWER_COMPLETE;
  if (connection.last == LAST_APPLICATIONS || (connection.last == LAST_UNCLEAR && is_whole))
    handoff->owes_answer = handoff->may_have_answered = false;
}

/* Whether a read that began before the placeholder was there may still take bytes from the connection. */
static bool may_be_read(const struct handoff* handoff, int64_t now) {
  const int64_t since = handoff->origin.is_read ? handoff->client_sent_at : handoff->replaced_at;
  return now - since < READ_LIMIT_MS && !interrupt_is_read_over();
}

/* The client has closed its side. The application gets end of file and may still answer. */
static void note_client_left(struct handoff* handoff) {
  handoff->last_event = clock_ms();
  handoff->client_left = true;
  watch(handoff, SIDE_CONNECTION, EPOLL_CTL_MOD, NOTHING);
  libc.shutdown(handoff->pair, SHUT_WR);
}

static void look_again(struct handoff* handoff) {
  if (!handoff->client_has_sent) handoff->client_sent_at = clock_ms();
  handoff->client_has_sent = true;
  watch(handoff, SIDE_CONNECTION, EPOLL_CTL_MOD, NOTHING);
  if (look_again_due < 0) look_again_due = clock_ms() + LOOK_AGAIN_MS;
}

/* Passes the client's bytes to the application; the connection is not handed off now. */
static void relay_to_application(struct handoff* handoff) {
  handoff->owes_answer = true;
  handoff->may_have_answered = false;
  /* A full socket pair: the rest later. */
  if (relay(handoff->connection, handoff->pair, &handoff->origin.received) == RELAYED_SOME)
    look_again(handoff);
}

static void hand_off(struct handoff* handoff) {
  const struct liveswap_frame frame = {.kind = LIVESWAP_HANDOFF};
  if (relay_to_client(handoff) != RELAYED_ALL) return;
  if (has_no_successor || !channel_send_with(frame, &handoff->origin.listener,
                                             sizeof handoff->origin.listener, handoff->connection)) {
    relay_to_application(handoff);
    return;
  }
  connection_count_idle_handed_off();
  close_connection(handoff);
  libc.shutdown(handoff->pair, SHUT_WR);
}

/* If the application has begun to read a request, the rest must go there too. */
static void serve_request(struct handoff* handoff) {
  note_bytes_read(handoff);
  if (unread_bytes(handoff->connection) == 0) return;
  if (handoff->owes_answer || is_answering(handoff)) relay_to_application(handoff);
  else hand_off(handoff);
}

static void serve_connection(struct handoff* handoff, uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    watch(handoff, SIDE_PAIR, EPOLL_CTL_MOD, READABLE);
    watch(handoff, SIDE_CONNECTION, EPOLL_CTL_MOD, handoff->client_left ? NOTHING : READABLE);
  } else if (unread_bytes(handoff->connection) == 0) {
    if (!handoff->client_left && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
      note_client_left(handoff);
  } else if (!interrupt_is_read_over()) {
    look_again(handoff);
  } else {
    serve_request(handoff);
  }
}

static void serve_pair(struct handoff* handoff) {
  switch (relay_to_client(handoff)) {
    case RELAYED_ALL: return;
    case RELAYED_SOME:
      watch(handoff, SIDE_PAIR, EPOLL_CTL_MOD, NOTHING);
      watch(handoff, SIDE_CONNECTION, EPOLL_CTL_MOD, WRITABLE);
      return;
    case RELAYED_CLOSED: end(handoff);
  }
}

void handoff_serve(void) {
  struct epoll_event events[64];
  const int count = libc.epoll_wait(events_fd, events, sizeof events / sizeof events[0], 0);
  for (int i = 0; i < count; ++i) {
    struct handoff* handoff = &table[events[i].data.u32 / SIDES];
    if (!handoff->used) continue;
    if (events[i].data.u32 % SIDES == SIDE_PAIR) serve_pair(handoff);
    else if (handoff->connection >= 0) serve_connection(handoff, events[i].events);
  }
}

int64_t handoff_step(void) {
  const int64_t now = clock_ms();
  if (look_again_due < 0 || now < look_again_due) return look_again_due;
  look_again_due = -1;
  for (struct handoff* each = table; each < table + HANDOFF_MAX; ++each) {
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
static bool may_be_handed_off(const struct handoff* handoff, int64_t now) {
  struct connection connection;
  if (now - handoff->last_event < grace) return false;
  if (drain_age_ms() >= drain_patience_ms()) return true;
  return !handoff->has_sent && tcp_state_look(handoff->connection, &connection) &&
         connection.last != LAST_UNCLEAR;
}

static bool is_busy(const struct handoff* handoff) {
  return handoff->owes_answer || handoff->client_has_sent || is_answering(handoff) ||
         unread_bytes(handoff->pair) > 0 || unread_bytes(handoff->connection) > 0;
}

static void examine(struct handoff* handoff, int64_t now) {
  note_bytes_read(handoff);
  note_answered(handoff, now);
  if (is_busy(handoff)) return;
  /* A thread that blocks the signal stays in its read, and would take the next request from the successor. */
  const bool is_stuck = handoff->origin.is_read && !interrupt_is_read_over();
  if (handoff->client_left ? now - handoff->last_event >= grace
                           : is_stuck && now - handoff->last_event >= 2 * grace)
    end(handoff);
  else if (!handoff->client_left && !is_stuck && may_be_handed_off(handoff, now) &&
           !may_be_read(handoff, now))
    hand_off(handoff);
}

bool handoff_is_busy(void) {
  for (const struct handoff* each = table; each < table + HANDOFF_MAX; ++each)
    if (each->used && each->connection >= 0 && is_busy(each)) return true;
  return false;
}

void handoff_look(void) {
  const int64_t now = clock_ms();
  for (struct handoff* each = table; each < table + HANDOFF_MAX; ++each)
    if (each->used && each->connection >= 0) examine(each, now);
}

void handoff_give_up(void) {
  has_no_successor = true;
  for (struct handoff* each = table; each < table + HANDOFF_MAX; ++each)
    if (each->used && each->connection >= 0) relay_to_application(each);
}
