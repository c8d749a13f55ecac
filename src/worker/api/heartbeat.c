#include "heartbeat.h"

#include <errno.h>
#include <stdatomic.h>

#include "liveswap_plugin.h"
#include "worker/base/clock.h"
#include "worker/link/channel.h"

static int wanted_ms; /* how often the master wants a heartbeat; 0: never */
static int period_ms; /* half of that, so that one late call is not missed */
static _Atomic int64_t due;

void heartbeat_setup(int64_t every_ms) {
  wanted_ms = (int)every_ms;
  period_ms = every_ms == 0 ? 0 : every_ms < 2 ? 1 : (int)(every_ms / 2);
  atomic_store(&due, 0);
}

/* The frame goes out on the calling thread: the control thread may be parked, and says nothing about the
 * application's loop. A frame for which the channel has no room is left out; the next one follows soon. In a
 * forked child the channel is closed. */
int liveswap_heartbeat(void) {
  if (period_ms == 0) return -1;
  const int64_t now = clock_ms();
  int64_t expected = atomic_load_explicit(&due, memory_order_relaxed);
  if (now < expected) return (int)(expected - now);
  if (!atomic_compare_exchange_strong(&due, &expected, now + period_ms)) return 1;
  const int error = errno;
  channel_try_send((struct liveswap_frame){.kind = LIVESWAP_HEARTBEAT, .value = wanted_ms}, NULL, 0);
  errno = error;
  return period_ms;
}
