#include "served.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "liveswap_plugin.h"
#include "worker/link/channel.h"

/* Two counters, each request in one of them, so that a reader never sees more failed than served. */
static atomic_uint_fast64_t succeeded;
static atomic_uint_fast64_t failed;
static atomic_bool has_announced;

/* The first time. If the channel is full, the next request announces. */
static void announce(void) {
  if (atomic_load_explicit(&has_announced, memory_order_relaxed) || atomic_exchange(&has_announced, true))
    return;
  const int before = errno;
  const bool sent = channel_try_send((struct liveswap_frame){.kind = LIVESWAP_SERVED}, NULL, 0);
  if (!sent && channel_is_only_full()) atomic_store(&has_announced, false);
  errno = before;
}

void liveswap_served(int has_failed) {
  atomic_fetch_add_explicit(has_failed != 0 ? &failed : &succeeded, 1, memory_order_relaxed);
  announce();
}

void served_add(uint64_t all, uint64_t of_them_failed) {
  atomic_fetch_add_explicit(&succeeded, all - of_them_failed, memory_order_relaxed);
  atomic_fetch_add_explicit(&failed, of_them_failed, memory_order_relaxed);
  if (all > 0) announce();
}

struct liveswap_served_count served_count(void) {
  const uint64_t failures = atomic_load_explicit(&failed, memory_order_relaxed);
  return (struct liveswap_served_count){
      .served = atomic_load_explicit(&succeeded, memory_order_relaxed) + failures, .failed = failures};
}
