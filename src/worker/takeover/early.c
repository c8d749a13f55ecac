#include "early.h"

#include "adopt.h"
#include "give_back.h"
#include "marks.h"
#include "worker/clock.h"
#include "worker/listeners.h"

enum {
  EARLY_MAX = 256,
  LIMIT_MS = 1000,
  LOOK_EVERY_MS = 5,
};

struct early {
  int fd;
  uint64_t cookie;
  int64_t since; /* the worker before has given it up */
  int64_t here_since;
};

static struct early early[EARLY_MAX];
static int count;

void early_put(uint64_t cookie, int connection, int64_t since) {
  if (count == EARLY_MAX) {
    give_back(cookie, connection, since);
    return;
  }
  marks_set(connection, MARK_HOST);
  early[count++] = (struct early){connection, cookie, since, clock_ms()};
}

int64_t early_step(int64_t now) {
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    const struct early one = early[i];
    const bool is_known = listeners_with(one.cookie) != NULL;
    if (!is_known && now - one.here_since < LIMIT_MS) {
      early[kept++] = one;
      continue;
    }
    marks_set(one.fd, 0);
    if (is_known)
      adopt_put_since(one.cookie, one.fd, one.since);
    else
      give_back(one.cookie, one.fd, one.since);
  }
  count = kept;
  return count > 0 ? now + LOOK_EVERY_MS : -1;
}

void early_stop(void) {
  for (int i = 0; i < count; ++i) {
    marks_set(early[i].fd, 0);
    give_back(early[i].cookie, early[i].fd, early[i].since);
  }
  count = 0;
}
