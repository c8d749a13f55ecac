#include "readiness.h"

#include <pthread.h>

#include "channel.h"
#include "clock.h"
#include "control.h"
#include "descriptors.h"
#include "drain.h"
#include "listeners.h"
#include "liveswap_plugin.h"
#include "takeover/calls.h"
#include "takeover/swap.h"
#include "takeover/uring.h"

enum {
  LOOK_EVERY_MS = 20,
  /* A listener that listens for so long without being waited for in any way that can be seen is served by one that
   * cannot: io_uring, an accept by a raw system call, or a receive, for datagrams. */
  LISTENS_MS = 100,
};

/* Held while sending, so that ENTERED, DEFERRED and READY leave in the order in which they became true. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool entered;
static bool deferred; /* by the application */
static bool awaited;  /* by the host */
static atomic_bool ready; /* written with the lock */
atomic_bool readiness_watched;

static void tell(enum liveswap_frame_kind kind, int32_t value) {
  if (entered || kind == LIVESWAP_ENTERED) channel_send_value(kind, value);
}

/* With the lock. */
static void watch(void) { atomic_store(&readiness_watched, awaited && !deferred && !ready); }

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

static void say_ready(void) {
  if (!ready) tell(LIVESWAP_READY, 0);
  ready = true;
  watch();
}

void liveswap_ready(void) {
  pthread_mutex_lock(&lock);
  say_ready();
  pthread_mutex_unlock(&lock);
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
}

bool readiness_is_over(void) {
  return atomic_load(&ready);
}

struct look {
  bool listens;
  bool registered;
};

static void look_at(int fd, void* context) {
  struct look* look = context;
  const struct listener* listener = listeners_find(fd);
  if (listener == NULL || listener->name != NULL) return;
  const bool datagrams = listener->type == SOCK_DGRAM;
  if (!datagrams && !calls_listens(fd)) return;
  look->listens = true;
  /* Event loops register a socket for datagrams at once, and its owner may go on to bind the next. */
  if (!datagrams && swap_is_registered(fd)) look->registered = true;
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

int64_t readiness_step(void) {
  static int64_t listens_since = -1;
  if (!readiness_is_watched() || !entered) return -1;
  struct look look = {0};
  const int64_t now = clock_ms();
  descriptors_each(look_at, &look);
  if (look.listens && listens_since < 0) listens_since = now;
  if (!look.registered && look.listens && now - listens_since >= LISTENS_MS) check_uring();
  if (look.registered || (look.listens && now - listens_since >= LISTENS_MS)) {
    readiness_seen();
    return -1;
  }
  return now + LOOK_EVERY_MS;
}
