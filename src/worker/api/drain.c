#include "drain.h"

#include <stdatomic.h>
#include <sys/eventfd.h>

#include "liveswap_plugin.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/slow_path.h"

static int signal_fd = -1;
static atomic_int draining;
static _Atomic int64_t began;
static _Atomic int64_t deadline = -1;
static atomic_bool cooperates;

bool drain_setup(void) {
  signal_fd = host_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return signal_fd >= 0;
}

void drain_order(int64_t limit_ms) {
  const int64_t now = clock_ms();
  atomic_store(&deadline, limit_ms < 0 ? -1 : now + limit_ms);
  if (atomic_load(&draining) == 0) {
    /* The flag last: a thread that sees the flag also sees the times. */
    atomic_store(&began, now);
    atomic_store(&draining, 1);
    eventfd_write(signal_fd, 1);
  }
}

int64_t drain_deadline(void) { return atomic_load(&deadline); }

int64_t drain_age_ms(void) { return atomic_load(&draining) != 0 ? clock_ms() - atomic_load(&began) : -1; }

int64_t drain_patience_ms(void) {
  enum { WITHOUT_LIMIT_MS = 30 * 1000 };
  const int64_t end = drain_deadline();
  return end < 0 ? WITHOUT_LIMIT_MS : (end - atomic_load(&began)) / 2;
}

bool drain_is_on(void) { return atomic_load_explicit(&draining, memory_order_acquire) != 0; }

bool drain_is_cooperative(void) { return atomic_load(&cooperates); }

/* Written once only: a store at every request would bounce the cache line between CPUs. */
static void note_cooperation(void) {
  if (atomic_load_explicit(&cooperates, memory_order_relaxed)) return;
  atomic_store(&cooperates, true);
  slow_path_remove(SLOW_TRAFFIC);
}

int liveswap_drain_fd(void) {
  note_cooperation();
  return signal_fd;
}

int liveswap_draining(void) {
  note_cooperation();
  return drain_is_on() ? 1 : 0;
}

long liveswap_drain_left_ms(void) {
  note_cooperation();
  const int64_t end = drain_deadline();
  if (end < 0 || !drain_is_on()) return -1;
  const int64_t left = end - clock_ms();
  return left > 0 ? (long)left : 0;
}
