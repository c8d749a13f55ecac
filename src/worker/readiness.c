#include "readiness.h"

#include <pthread.h>

#include "aside.h"
#include "channel.h"
#include "clock.h"
#include "control.h"
#include "drain.h"
#include "listeners.h"
#include "liveswap_plugin.h"
#include "self.h"
#include "takeover/calls.h"
#include "takeover/intercept.h"
#include "takeover/kick.h"
#include "takeover/marks.h"
#include "takeover/swap.h"
#include "takeover/uring.h"

enum {
  LOOK_EVERY_MS = 20,
  /* A listener that listens for so long, where some ways to wait for it cannot be seen: io_uring, raw system
     calls. */
  UNSEEN_MS = 100,
  /* One that datagrams are received from without any wait, between other work. */
  POLLED_MS = 1000,
  SAY_AFTER_MS = 5000,
  /* Of what listens when another listener has been seen already. */
  LOOKS_END_MS = 5000,
};

/* Held while sending, so that ENTERED, DEFERRED, WAITS and READY leave in the order in which they became
 * true. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool entered;
static bool deferred;    /* by the application */
static bool awaited;     /* it has a listener that was not lent, or is about to */
static bool announced;   /* the application has said that it is ready */
static bool own_seen;    /* a listener that is not the master's */
static atomic_bool over; /* written with the lock */

static void tell(enum liveswap_frame_kind kind, int32_t value) {
  if (entered || kind == LIVESWAP_ENTERED) channel_send_value(kind, value);
}

/* With the lock. */
static void watch(void) {
  if (!over || listeners_expected())
    special_begin(SPECIAL_READINESS);
  else
    special_end(SPECIAL_READINESS);
}

void readiness_enter(bool deferred_by_note) {
  pthread_mutex_lock(&lock);
  if (deferred_by_note) deferred = true;
  tell(LIVESWAP_ENTERED, deferred || announced);
  entered = true;
  if (awaited && !deferred) tell(LIVESWAP_DEFERRED, 0);
  if (announced) tell(LIVESWAP_READY, 0);
  watch();
  pthread_mutex_unlock(&lock);
  control_wake();
}

void liveswap_ready(void) {
  pthread_mutex_lock(&lock);
  if (!announced) tell(LIVESWAP_READY, 0);
  announced = true;
  over = true;
  watch();
  pthread_mutex_unlock(&lock);
  aside_settle();
}

void liveswap_defer_ready(void) {
  pthread_mutex_lock(&lock);
  if (!deferred && !announced) tell(LIVESWAP_DEFERRED, 1);
  deferred = true;
  pthread_mutex_unlock(&lock);
}

void readiness_await(void) {
  pthread_mutex_lock(&lock);
  const bool first = !awaited && !over;
  if (first && !deferred) tell(LIVESWAP_DEFERRED, 0);
  awaited = true;
  pthread_mutex_unlock(&lock);
  if (first) control_wake();
}

void readiness_review(void) {
  pthread_mutex_lock(&lock);
  watch();
  pthread_mutex_unlock(&lock);
}

void readiness_expect(const struct listener* listener) {
  if (!listeners_expect(listener)) return;
  readiness_review();
  control_wake();
}

/* With the lock. */
static void say_waits(uint64_t cookie) {
  channel_send((struct liveswap_frame){.kind = LIVESWAP_WAITS}, (const char*)&cookie, sizeof cookie);
  if (!deferred) over = true;
  watch();
}

static void note_wait(const struct listener* listener) {
  pthread_mutex_lock(&lock);
  const bool first = listeners_note_wait(listener);
  if (first) say_waits(listener->cookie);
  pthread_mutex_unlock(&lock);
  if (first && readiness_is_over()) aside_settle();
}

void readiness_seen(int fd) {
  if (!readiness_is_watched() || (marks_of(fd) & MARK_SEEN) != 0) return;
  const struct listener* listener = listeners_find(fd);
  if (listener == NULL || (listener->type != SOCK_DGRAM && !calls_listens(fd))) return;
  marks_add(fd, MARK_SEEN);
  note_wait(listener);
}

bool readiness_is_over(void) { return atomic_load(&over); }

/* Of the control thread: what has been found in one look. */
struct look {
  int64_t now;
  int64_t longest; /* that something listens, and has not been seen in use */
  bool unseen;
  bool datagrams;
};

static bool has_unseen_ways(void) { return uring_is_there() || intercept_is_on(); }

/* How long it has to listen to be taken for waited for; -1: however long it listens, it has not shown that.
 */
static int64_t patience(int fd, const struct listener* listener, struct look* look) {
  const bool is_registered = swap_is_registered(fd);
  if (listener->type == SOCK_DGRAM) {
    look->datagrams = true;
    return is_registered || listeners_is_read(listener) ? UNSEEN_MS : POLLED_MS;
  }
  if (is_registered) return 0;
  /* What was lent listens from the start, which shows nothing. */
  return listener->name == NULL && has_unseen_ways() ? UNSEEN_MS : -1;
}

/* It accepts where nobody sees it: then a drain must be able to cancel that. */
static void check_uring(void) {
  if (drain_is_the_applications()) return;
  switch (uring_trouble()) {
    case URING_FINE:
      return;
    case URING_SINGLE_ISSUER:
      channel_fail(LIVESWAP_STAGE_START,
                   "it accepts by an io_uring that only one of its threads may use "
                   "(IORING_SETUP_SINGLE_ISSUER): nobody "
                   "could take the listener from it; set the ring up without that flag, or drain by "
                   "liveswap_drain_fd()");
    case URING_OLD_KERNEL:
      channel_fail(
          LIVESWAP_STAGE_START,
          "it accepts by io_uring, and this kernel cannot cancel that: it needs Linux 6.0; or drain by "
          "liveswap_drain_fd()");
  }
}

static void say_what_is_missing(void) {
  liveswap_log(LIVESWAP_WARNING,
               "it listens, and has not been seen to wait for a connection (accept, poll, select, epoll), so "
               "it is not ready yet; "
               "an application that waits in another way calls liveswap_ready()");
}

/* One that is the application's own is not seen by calls: that it listens has to do. */
static void look_at_own(int fd, struct look* look) {
  static uint64_t cookie;
  static int64_t since;
  uint64_t found = 0;
  if (own_seen || (marks_of(fd) & MARK_OWN) == 0 || !calls_listens(fd) || !socket_cookie(fd, &found)) return;
  look->unseen = true;
  if (found != cookie) since = look->now;
  cookie = found;
  if (look->now - since < UNSEEN_MS) return;
  pthread_mutex_lock(&lock);
  own_seen = true;
  say_waits(cookie);
  pthread_mutex_unlock(&lock);
}

static void look_at(int fd, void* context) {
  struct look* look = context;
  const struct listener* listener = listeners_find(fd);
  if (listener == NULL) {
    look_at_own(fd, look);
    return;
  }
  if (listeners_is_waited(listener) || (listener->type != SOCK_DGRAM && !calls_listens(fd))) return;
  const int64_t age = look->now - listeners_unseen_since(listener, look->now);
  const int64_t enough = patience(fd, listener, look);
  if (enough < 0 || age < enough) {
    if (listener->name == NULL) look->unseen = true;
    if (listener->name == NULL && age > look->longest) look->longest = age;
    return;
  }
  if (enough > 0) check_uring();
  note_wait(listener);
}

static void note_reader(int fd) {
  const struct listener* listener = listeners_find(fd);
  if (listener != NULL && listener->type == SOCK_DGRAM) listeners_note_read(listener);
}

int64_t readiness_step(void) {
  static bool said;
  static bool has_datagrams;
  static int64_t began;
  if (!readiness_is_watched() || !entered || (deferred && !readiness_is_over())) return -1;
  struct look look = {.now = clock_ms()};
  if (began == 0) began = look.now;
  if (has_datagrams) kick_note_readers(note_reader);
  self_each_descriptor(look_at, &look);
  has_datagrams = look.datagrams;
  if (readiness_is_over() && (!look.unseen || look.longest >= LOOKS_END_MS)) return -1;
  /* One that has nothing but what it was lent, and may never need it. */
  if (!awaited && look.now - began >= LOOKS_END_MS) return -1;
  if (look.longest >= SAY_AFTER_MS && !said) {
    said = true;
    say_what_is_missing();
  }
  return look.now + LOOK_EVERY_MS;
}
