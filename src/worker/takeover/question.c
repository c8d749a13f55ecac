#include "question.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "real.h"
#include "worker/aside.h"
#include "worker/channel.h"
#include "worker/clock.h"
#include "worker/knock.h"

enum { ANSWER_LIMIT_S = 10 };

struct waiting {
  int32_t number;
  bool done;
  int error;
  int fd;
  struct waiting* next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct waiting* first;
static int32_t last_number;
static bool is_over;

static void enter(struct waiting* waiting) {
  pthread_mutex_lock(&lock);
  last_number = last_number == INT32_MAX ? 1 : last_number + 1;
  waiting->number = last_number;
  waiting->done = is_over;
  waiting->next = first;
  first = waiting;
  pthread_mutex_unlock(&lock);
}

static void leave(struct waiting* waiting) {
  struct waiting** place = &first;
  while (*place != waiting) place = &(*place)->next;
  *place = waiting->next;
}

static void wait_for(struct waiting* waiting, bool sent) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += ANSWER_LIMIT_S;
  pthread_mutex_lock(&lock);
  while (sent && !waiting->done && pthread_cond_timedwait(&answered, &lock, &end) != ETIMEDOUT) continue;
  leave(waiting);
  pthread_mutex_unlock(&lock);
}

/* Without a control thread to receive it (aside.h). */
static void wait_alone(const struct waiting* waiting) {
  const int64_t end = clock_ms() + ANSWER_LIMIT_S * 1000;
  sigset_t before;
  knock_hold(&before);
  for (int64_t left = 0; aside_is_out() && !waiting->done && (left = end - clock_ms()) > 0;) {
    struct pollfd answer = {channel_fd(), POLLIN, 0};
    real.poll(&answer, 1, (int)left);
    if (!aside_look()) break;
  }
  /* What has come meanwhile. */
  knock_forget();
  aside_look();
  knock_release(&before);
  aside_await_readiness();
}

int question_ask(const struct question* question, int* given) {
  struct waiting waiting = {.error = QUESTION_UNANSWERED, .fd = -1};
  if (channel_fd() < 0) return QUESTION_UNANSWERED;
  /* A thread that is cancelled must not leave what lies on its stack in the list. */
  int cancel = 0;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  enter(&waiting);
  const struct liveswap_frame frame = {question->kind, waiting.number, question->count};
  const bool sent = channel_send_with(frame, question->text, question->size, question->fd);
  /* Who goes aside looks into the list after it has said so. */
  if (sent && atomic_load(&aside_out)) wait_alone(&waiting);
  wait_for(&waiting, sent && !aside_is_out());
  pthread_setcancelstate(cancel, NULL);
  if (given != NULL)
    *given = waiting.fd;
  else if (waiting.fd >= 0)
    real.close(waiting.fd);
  return waiting.error;
}

bool question_is_open(void) {
  pthread_mutex_lock(&lock);
  const bool is_open = first != NULL;
  pthread_mutex_unlock(&lock);
  return is_open;
}

void question_answered(int32_t number, int error, int fd) {
  pthread_mutex_lock(&lock);
  struct waiting* found = first;
  while (found != NULL && found->number != number) found = found->next;
  if (fd == CHANNEL_LOST && error == 0) error = EMFILE;
  if (found != NULL && !found->done) {
    *found = (struct waiting){number, true, error, fd < 0 ? -1 : fd, found->next};
    fd = -1;
    pthread_cond_broadcast(&answered);
  }
  pthread_mutex_unlock(&lock);
  if (fd >= 0) real.close(fd);
}

void question_give_up(void) {
  pthread_mutex_lock(&lock);
  is_over = true;
  for (struct waiting* each = first; each != NULL; each = each->next) each->done = true;
  pthread_cond_broadcast(&answered);
  pthread_mutex_unlock(&lock);
}
