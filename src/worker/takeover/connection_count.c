#include "connection_count.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "descendants.h"
#include "worker/api/listeners.h"
#include "worker/api/served.h"
#include "worker/base/clock.h"
#include "worker/base/proc_self.h"
#include "worker/link/channel.h"

enum { REPORT_EVERY_MS = 100 };

static void visit(int fd, void* count) {
  if (listeners_accepted(fd) != NULL) ++*(uint64_t*)count;
}

static uint64_t own_count(void) {
  uint64_t count = 0;
  proc_self_each_descriptor(visit, &count);
  return count;
}

static uint64_t elsewhere_count(void) { return descendants_may_be() ? descendants_connections() : 0; }

uint64_t connection_count(void) { return own_count() + elsewhere_count(); }

typedef bool sender(struct liveswap_frame frame, const void* text, size_t size);

static void send_elsewhere(sender* send, uint64_t count) {
  static uint64_t reported;
  if (count == reported) return;
  if (send((struct liveswap_frame){.kind = LIVESWAP_ELSEWHERE, .count = count}, NULL, 0)) reported = count;
}

static bool send_count(sender* send, int32_t value, uint64_t count) {
  const struct liveswap_served_count served = served_count();
  return send((struct liveswap_frame){LIVESWAP_COUNTED, value, count}, &served, sizeof served);
}

void connection_count_answer(int32_t value) { send_count(channel_send, value, connection_count()); }

/* The last count that was sent by itself; 0 before the first. */
static uint64_t reported_count;
/* None is open any more; what the application has not closed does not count. */
static bool is_over;

void connection_count_none(void) {
  is_over = true;
  if (reported_count > 0 && send_count(channel_send, 0, 0)) reported_count = 0;
}

static atomic_uint_fast64_t ended;
static atomic_uint_fast64_t handed_off;

void connection_count_idle_ended(void) { atomic_fetch_add(&ended, 1); }
void connection_count_idle_handed_off(void) { atomic_fetch_add(&handed_off, 1); }

static void report_idle(sender* send) {
  static struct liveswap_idle_count reported;
  const struct liveswap_idle_count now = {.ended = atomic_load(&ended),
                                          .handed_off = atomic_load(&handed_off)};
  if (now.ended == reported.ended && now.handed_off == reported.handed_off) return;
  if (send((struct liveswap_frame){.kind = LIVESWAP_IDLE}, &now, sizeof now)) reported = now;
}

void connection_count_last(void) {
  if (served_count().served > 0) connection_count_answer(0);
  report_idle(channel_send);
}

int64_t connection_count_report_change(void) {
  static bool has_reported;
  const int64_t began = clock_cpu_ms();
  /* In this order: a connection that is being passed to another process is counted at least once. */
  const uint64_t own = own_count();
  const uint64_t elsewhere = elsewhere_count();
  const uint64_t count = own + elsewhere;
  send_elsewhere(channel_try_send, elsewhere);
  const bool is_news = !is_over && (!has_reported || count != reported_count);
  if (is_news && send_count(channel_try_send, 0, count)) {
    has_reported = true;
    reported_count = count;
  }
  report_idle(channel_try_send);
  return clock_due_again(began, REPORT_EVERY_MS);
}
