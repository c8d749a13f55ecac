#include "readiness.h"

#include <pthread.h>

#include "listeners.h"
#include "liveswap_plugin.h"
#include "worker/base/fd_flags.h"
#include "worker/base/socket.h"
#include "worker/base/wake.h"
#include "worker/link/channel.h"

/* Held while sending, so that ENTERED, DEFERRED, WAITS and READY leave in the order in which they became
 * true. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool announced; /* the application has called liveswap_ready() */
/* Written with the lock held, read without it too. */
static atomic_bool entered;
static atomic_bool deferred; /* by liveswap_defer_ready() or the ABI note */
static atomic_bool awaited;  /* the application has bound a listener, or is about to */
static atomic_bool own_seen; /* a wait on a listener that the master does not hold was seen */
static atomic_bool over;
static void (*before_wait)(void);

static void tell(enum liveswap_frame_kind kind, int32_t value) {
  if (entered || kind == LIVESWAP_ENTERED) channel_send_value(kind, value);
}

/* The caller has the lock. */
static void watch(void) {
  if (!over || listeners_expected()) slow_path_add(SLOW_READINESS);
  else slow_path_remove(SLOW_READINESS);
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
  wake_control_thread();
}

void liveswap_ready(void) {
  pthread_mutex_lock(&lock);
  if (!announced) tell(LIVESWAP_READY, 0);
  announced = true;
  over = true;
  watch();
  pthread_mutex_unlock(&lock);
  wake_control_thread();
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
  if (first) wake_control_thread();
}

void readiness_review(void) {
  pthread_mutex_lock(&lock);
  watch();
  pthread_mutex_unlock(&lock);
}

void readiness_expect(const struct listener* listener) {
  if (!listeners_expect(listener)) return;
  readiness_review();
  wake_control_thread();
}

/* The caller has the lock. */
static void say_waits(uint64_t cookie) {
  channel_send((struct liveswap_frame){.kind = LIVESWAP_WAITS}, &cookie, sizeof cookie);
  if (!deferred) over = true;
  watch();
}

void readiness_before_wait(void (*call)(void)) { before_wait = call; }

void readiness_note_wait(const struct listener* listener) {
  if (before_wait != NULL) before_wait();
  pthread_mutex_lock(&lock);
  const bool first = listeners_note_wait(listener);
  if (first) say_waits(listener->cookie);
  pthread_mutex_unlock(&lock);
  if (first && readiness_is_shown()) wake_control_thread();
}

void readiness_seen(int fd) {
  if (!readiness_is_watched() || (fd_flags(fd) & FLAG_SEEN) != 0) return;
  const struct listener* listener = listeners_find(fd);
  if (listener == NULL || (listener->type != SOCK_DGRAM && !socket_listens(fd))) return;
  fd_flags_add(fd, FLAG_SEEN);
  readiness_note_wait(listener);
}

bool readiness_is_shown(void) { return atomic_load(&over); }

bool readiness_needs_scan(void) {
  return readiness_is_watched() && entered && (!deferred || readiness_is_shown());
}

bool readiness_is_awaited(void) { return awaited; }

void readiness_note_own(uint64_t cookie) {
  if (before_wait != NULL) before_wait();
  pthread_mutex_lock(&lock);
  own_seen = true;
  say_waits(cookie);
  pthread_mutex_unlock(&lock);
}

bool readiness_own_is_noted(void) { return own_seen; }
