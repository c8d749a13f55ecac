#include "open_requests.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>

#include "channel.h"
#include "worker/base/clock.h"
#include "worker/base/libc.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered;
static struct open_request* first;
static int32_t last_number;
static bool is_over;

bool open_requests_setup(void) { return clock_condition(&answered); }

void open_requests_add(struct open_request* request) {
  pthread_mutex_lock(&lock);
  last_number = last_number == INT32_MAX ? 1 : last_number + 1;
  request->number = last_number;
  request->done = is_over;
  request->next = first;
  first = request;
  pthread_mutex_unlock(&lock);
}

static void take_out(struct open_request* request) {
  struct open_request** place = &first;
  while (*place != request) place = &(*place)->next;
  *place = request->next;
}

void open_requests_wait(struct open_request* request, int64_t end) {
  const struct timespec until = clock_timespec(end);
  pthread_mutex_lock(&lock);
  while (!request->done && pthread_cond_timedwait(&answered, &lock, &until) != ETIMEDOUT) continue;
  take_out(request);
  pthread_mutex_unlock(&lock);
}

bool open_requests_any(void) {
  pthread_mutex_lock(&lock);
  const bool any = first != NULL;
  pthread_mutex_unlock(&lock);
  return any;
}

void open_requests_answered(int32_t number, int error, int fd) {
  pthread_mutex_lock(&lock);
  struct open_request* found = first;
  while (found != NULL && found->number != number) found = found->next;
  if (fd == CHANNEL_LOST && error == 0) error = EMFILE;
  if (found != NULL && !found->done) {
    found->done = true;
    found->error = error;
    found->fd = fd < 0 ? -1 : fd;
    fd = -1;
    pthread_cond_broadcast(&answered);
  }
  pthread_mutex_unlock(&lock);
  if (fd >= 0) libc.close(fd);
}

void open_requests_give_up(void) {
  pthread_mutex_lock(&lock);
  is_over = true;
  for (struct open_request* each = first; each != NULL; each = each->next) each->done = true;
  pthread_cond_broadcast(&answered);
  pthread_mutex_unlock(&lock);
}
