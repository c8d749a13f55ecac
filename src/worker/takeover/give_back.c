#include "give_back.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "contract/channel.h"
#include "given_connections.h"
#include "liveswap_plugin.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/wake.h"
#include "worker/link/channel.h"

enum {
  /* Above what takeover/adopted_connections.c and takeover/early_connections.c hold together. */
  WAITING_MAX = 8192,
  TRY_EVERY_MS = 20,
};

struct returned {
  uint64_t cookie;
  int64_t since;
  int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct returned waiting[WAITING_MAX];
static int count;

/* False: the channel is full, try again later. */
static bool send_one(const struct returned* one) {
  const int64_t waited = clock_ms() - one->since;
  /* 0 would mean an idle connection of this worker. */
  const struct liveswap_frame frame = {.kind = LIVESWAP_HANDOFF,
                                       .count = (uint64_t)(waited > 0 ? waited : 1)};
  if (!channel_try_send_with(frame, &one->cookie, sizeof one->cookie, one->fd)) {
    if (channel_is_only_full()) return false;
    char text[128];
    snprintf(text, sizeof text,
             "closed a connection of the predecessor: cannot give it back to the master: %s",
             strerror(errno));
    liveswap_log(LIVESWAP_WARNING, text);
  }
  host_fd_close(one->fd);
  return true;
}

void give_back(uint64_t cookie, int connection, int64_t since) {
  given_connections_forget(connection);
  const struct returned one = {cookie, since, connection};
  pthread_mutex_lock(&lock);
  /* Keep the order of arrival. */
  const bool is_sent = count == 0 && send_one(&one);
  const bool has_room = count < WAITING_MAX;
  if (!is_sent && has_room) {
    host_fd(connection);
    waiting[count++] = one;
  }
  pthread_mutex_unlock(&lock);
  if (is_sent) return;
  if (has_room) {
    wake_control_thread();
  } else {
    liveswap_log(LIVESWAP_WARNING,
                 "closed a connection of the predecessor: too many wait to be given back to the master");
    host_fd_close(connection);
  }
}

int64_t give_back_step(void) {
  pthread_mutex_lock(&lock);
  int sent = 0;
  while (sent < count && send_one(&waiting[sent])) ++sent;
  count -= sent;
  if (sent > 0) memmove(&waiting[0], &waiting[sent], (size_t)count * sizeof waiting[0]);
  const bool is_done = count == 0;
  pthread_mutex_unlock(&lock);
  return is_done ? -1 : clock_ms() + TRY_EVERY_MS;
}

bool give_back_is_done(void) {
  pthread_mutex_lock(&lock);
  const bool is_done = count == 0;
  pthread_mutex_unlock(&lock);
  return is_done;
}
