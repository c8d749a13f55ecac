#include "option.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "calls.h"
#include "child.h"
#include "marks.h"
#include "real.h"
#include "worker/channel.h"
#include "worker/listeners.h"

/* A server sets a handful, once. */
enum { REPORTS_MAX = 256 };

static void tell(int fd, int level, int name, const void* value, socklen_t size) {
  static atomic_int reports;
  struct liveswap_option said = {.level = level, .name = name};
  if (!socket_cookie(fd, &said.cookie) || atomic_fetch_add(&reports, 1) >= REPORTS_MAX) return;
  said.size = size < sizeof said.value ? (uint32_t)size : (uint32_t)sizeof said.value;
  if (value != NULL) memcpy(said.value, value, said.size);
  channel_send((struct liveswap_frame){.kind = LIVESWAP_OPTION}, (const char*)&said, sizeof said);
}

int option_set(int fd, int level, int name, const void* value, socklen_t size) {
  const int done = real.setsockopt(fd, level, name, value, size);
  const int error = errno;
  if (done == 0) tell(fd, level, name, value, size);
  errno = error;
  return done;
}

static SELDOM int set_marked(int fd, int level, int name, const void* value, socklen_t size) {
  int cancel = 0;
  if (child_runs() || calls_held(fd) == NULL) return real.setsockopt(fd, level, name, value, size);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  const int done = option_set(fd, level, name, value, size);
  pthread_setcancelstate(cancel, NULL);
  return done;
}

SEEN_CALL int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  return marks_of(fd) == 0 ? real.setsockopt(fd, level, name, value, size)
                           : set_marked(fd, level, name, value, size);
}
