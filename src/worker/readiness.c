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
#include "takeover/swap.h"
#include "takeover/uring.h"

enum {
  LOOK_EVERY_MS = 20,
  /* A listener that listens for so long, where some ways to wait for it cannot be seen: io_uring, raw system calls. */
  UNSEEN_MS = 100,
  /* One that datagrams are received from without any wait, between other work. */
  POLLED_MS = 1000,
  SAY_AFTER_MS = 5000,
};

/* Held while sending, so that ENTERED, DEFERRED and READY leave in the order in which they became true. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool entered;
static bool deferred; /* by the application */
static bool awaited;  /* by the host */
static atomic_bool ready; /* written with the lock */

static void tell(enum liveswap_frame_kind kind, int32_t value) {
  if (entered || kind == LIVESWAP_ENTERED) channel_send_value(kind, value);
}

/* With the lock. */
static void watch(void) {
  if (awaited && !deferred && !ready)
    special_begin(SPECIAL_READINESS);
  else
    special_end(SPECIAL_READINESS);
}

void readiness_enter(bool deferred_by_note, bool awaits_listener) {
  pthread_mutex_lock(&lock);
  if (deferred_by_note) deferred = true;
  if (awaits_listener) awaited = true;
  tell(LIVESWAP_ENTERED, deferred || awaited || ready);
  entered = true;
  if (ready) tell(LIVESWAP_READY, 0);
  watch();
  pthread_mutex_unlock(&lock);
  control_wake();
}

/* With the lock. */
static void say_ready(void) {
  if (!ready) tell(LIVESWAP_READY, 0);
  ready = true;
  watch();
}

void liveswap_ready(void) {
  pthread_mutex_lock(&lock);
  say_ready();
  pthread_mutex_unlock(&lock);
  aside_settle();
}

void liveswap_defer_ready(void) {
  pthread_mutex_lock(&lock);
  if (!deferred && !awaited && !ready) tell(LIVESWAP_DEFERRED, 0);
  deferred = true;
  watch();
  pthread_mutex_unlock(&lock);
}

void readiness_await(void) {
  pthread_mutex_lock(&lock);
  const bool first = !awaited && !ready;
  if (first && !deferred) tell(LIVESWAP_DEFERRED, 0);
  awaited = true;
  watch();
  pthread_mutex_unlock(&lock);
  if (first) control_wake();
}

void readiness_seen(void) {
  if (!readiness_is_watched()) return;
  pthread_mutex_lock(&lock);
  if (!deferred) say_ready();
  pthread_mutex_unlock(&lock);
  if (readiness_is_over()) aside_settle();
}

bool readiness_is_over(void) {
  return atomic_load(&ready);
}

struct look {
  bool streams;    /* a listener for connections listens */
  bool registered; /* an epoll has it */
  bool datagrams;
  bool received; /* by a thread that blocks in it, or in an epoll: whose owner may go on to bind the next */
};

/* Of the control thread. */
static struct look look;

static void look_at(int fd, void* unused) {
  (void)unused;
  const struct listener* listener = listeners_find(fd);
  if (listener == NULL || listener->name != NULL) return;
  if (listener->type == SOCK_DGRAM) {
    look.datagrams = true;
    if (swap_is_registered(fd)) look.received = true;
  } else if (calls_listens(fd)) {
    look.streams = true;
    if (swap_is_registered(fd)) look.registered = true;
  }
}

static void note_reader(int fd) {
  const struct listener* listener = listeners_find(fd);
  if (listener != NULL && listener->type == SOCK_DGRAM) look.received = true;
}

/* How long it has to listen to be taken for ready; -1: however long it listens, it has not shown that it serves. */
static int64_t patience(void) {
  if (look.registered) return 0;
  if (look.streams) return uring_is_there() || intercept_is_on() ? UNSEEN_MS : -1;
  if (look.datagrams && !look.received) kick_note_readers(note_reader);
  return look.received ? UNSEEN_MS : look.datagrams ? POLLED_MS : -1;
}

/* It accepts where nobody sees it: then a drain must be able to cancel that. */
static void check_uring(void) {
  if (drain_is_the_applications()) return;
  switch (uring_trouble()) {
    case URING_FINE:
      return;
    case URING_SINGLE_ISSUER:
      channel_fail(LIVESWAP_STAGE_START,
                   "it accepts by an io_uring that only one of its threads may use (IORING_SETUP_SINGLE_ISSUER): nobody "
                   "could take the listener from it; set the ring up without that flag, or drain by liveswap_drain_fd()");
    case URING_OLD_KERNEL:
      channel_fail(LIVESWAP_STAGE_START,
                   "it accepts by io_uring, and this kernel cannot cancel that: it needs Linux 6.0; or drain by "
                   "liveswap_drain_fd()");
  }
}

static void say_what_is_missing(void) {
  liveswap_log(LIVESWAP_WARNING,
               "it listens, and has not been seen to wait for a connection (accept, poll, select, epoll), so it is not ready yet; "
               "an application that waits in another way calls liveswap_ready()");
}

int64_t readiness_step(void) {
  static int64_t listens_since = -1;
  static bool said;
  if (!readiness_is_watched() || !entered) return -1;
  const int64_t now = clock_ms();
  look = (struct look){0};
  self_each_descriptor(look_at, NULL);
  if (listens_since < 0 && (look.streams || look.datagrams)) listens_since = now;
  const int64_t enough = patience();
  const int64_t age = listens_since < 0 ? -1 : now - listens_since;
  if (enough >= 0 && age >= enough) {
    if (!look.registered) check_uring();
    readiness_seen();
    return -1;
  }
  if (age >= SAY_AFTER_MS && !said) {
    said = true;
    say_what_is_missing();
  }
  return now + LOOK_EVERY_MS;
}
