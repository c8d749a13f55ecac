#include "early_connections.h"

#include "adopted_connections.h"
#include "give_back.h"
#include "worker/api/listeners.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"

enum {
  EARLY_MAX = 256,
  LIMIT_MS = 1000,
  LOOK_EVERY_MS = 5,
};

struct early {
  int fd;
  uint64_t cookie;
  int64_t since; /* when the predecessor gave the connection up, on clock_ms() */
  int64_t here_since;
};

static struct early early[EARLY_MAX];
static int count;

void early_put(uint64_t cookie, int connection, int64_t since) {
  if (count == EARLY_MAX) {
    give_back(cookie, connection, since);
    return;
  }
  early[count++] = (struct early){host_fd(connection), cookie, since, clock_ms()};
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
    fd_flags_set(one.fd, 0);
    if (is_known) adopted_put_since(one.cookie, one.fd, one.since);
    else give_back(one.cookie, one.fd, one.since);
  }
  count = kept;
  return count > 0 ? now + LOOK_EVERY_MS : -1;
}
