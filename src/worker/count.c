#include "count.h"

#include "channel.h"
#include "clock.h"
#include "listeners.h"
#include "self.h"
#include "served.h"

enum {
  REPORT_EVERY_MS = 100,
  /* With many thousand descriptors a look takes milliseconds: it may use a twentieth of one CPU, no more. */
  REST_PER_WORK = 20,
};

static void visit(int fd, void* count) {
  if (listeners_accepted(fd) != NULL) ++*(uint64_t*)count;
}

uint64_t count_connections(void) {
  uint64_t count = 0;
  self_each_descriptor(visit, &count);
  return count;
}

void count_answer(int32_t value) {
  const struct liveswap_served_count served = served_count();
  const struct liveswap_frame answer = {LIVESWAP_COUNTED, value, count_connections()};
  channel_send(answer, (const char*)&served, sizeof served);
}

void count_last(void) {
  if (served_count().served > 0) count_answer(0);
}

int64_t count_report_change(void) {
  static uint64_t reported = UINT64_MAX;
  const int64_t began = clock_ms();
  const uint64_t count = count_connections();
  const struct liveswap_served_count served = served_count();
  if (count != reported && channel_try_send((struct liveswap_frame){.kind = LIVESWAP_COUNTED, .count = count},
                                            (const char*)&served, sizeof served)) {
    reported = count;
  }
  const int64_t now = clock_ms();
  const int64_t rest = (now - began) * REST_PER_WORK;
  return now + (rest > REPORT_EVERY_MS ? rest : REPORT_EVERY_MS);
}
