#include "connection_count.h"

#include <stdatomic.h>

#include "descendants.h"
#include "worker/api/listeners.h"
#include "worker/api/served.h"
#include "worker/base/clock.h"
#include "worker/base/proc_self.h"
#include "worker/link/channel.h"

enum {
  REPORT_EVERY_MS = 100,
  /* A scan of many thousand descriptors takes milliseconds: pause 20 times as long, to use at most 5 % of a
   * CPU. */
  PAUSE_PER_WORK = 20,
};

static void visit(int fd, void* count) {
  if (listeners_accepted(fd) != NULL) ++*(uint64_t*)count;
}

uint64_t connection_count(void) {
  uint64_t count = 0;
  proc_self_each_descriptor(visit, &count);
  return count + (descendants_may_be() ? descendants_connections() : 0);
}

void connection_count_answer(int32_t value) {
  const struct liveswap_served_count served = served_count();
  const struct liveswap_frame answer = {LIVESWAP_COUNTED, value, connection_count()};
  channel_send(answer, (const char*)&served, sizeof served);
}

static atomic_uint_fast64_t ended;
static atomic_uint_fast64_t moved;

void connection_count_idle_ended(void) { atomic_fetch_add(&ended, 1); }
void connection_count_idle_moved(void) { atomic_fetch_add(&moved, 1); }

typedef bool sender(struct liveswap_frame frame, const char* text, size_t size);

static void report_idle(sender* send) {
  static struct liveswap_idle_count reported;
  const struct liveswap_idle_count now = {.ended = atomic_load(&ended), .moved = atomic_load(&moved)};
  if (now.ended == reported.ended && now.moved == reported.moved) return;
  if (send((struct liveswap_frame){.kind = LIVESWAP_IDLE}, (const char*)&now, sizeof now)) reported = now;
}

void connection_count_last(void) {
  if (served_count().served > 0) connection_count_answer(0);
  report_idle(channel_send);
}

int64_t connection_count_report_change(void) {
  static uint64_t reported = UINT64_MAX;
  const int64_t began = clock_ms();
  const uint64_t count = connection_count();
  const struct liveswap_served_count served = served_count();
  if (count != reported && channel_try_send((struct liveswap_frame){.kind = LIVESWAP_COUNTED, .count = count},
                                            (const char*)&served, sizeof served)) {
    reported = count;
  }
  report_idle(channel_try_send);
  const int64_t now = clock_ms();
  const int64_t pause = (now - began) * PAUSE_PER_WORK;
  return now + (pause > REPORT_EVERY_MS ? pause : REPORT_EVERY_MS);
}
