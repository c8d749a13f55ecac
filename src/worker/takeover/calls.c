#include "calls.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "adopt.h"
#include "child.h"
#include "loop.h"
#include "marks.h"
#include "mode.h"
#include "real.h"
#include "special.h"
#include "worker/channel.h"
#include "worker/readiness.h"

static atomic_bool taking_over;

void calls_take_over(void) { atomic_store(&taking_over, true); }

/* A child without exec has no channel, and its listeners are its own affair. */
bool calls_taking_over(void) { return atomic_load(&taking_over) && channel_fd() >= 0; }

const struct listener* calls_held(int fd) {
  if ((marks_of(fd) & MARK_HELD) == 0) return NULL;
  const struct listener* found = listeners_find(fd);
  if (found == NULL) marks_set(fd, 0);
  return found;
}

static pthread_rwlock_t registering = PTHREAD_RWLOCK_INITIALIZER;

/* A thread that is cancelled meanwhile must not take the lock with it. */
static __thread int cancel_before;

void calls_stop_registering(void) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_before);
  pthread_rwlock_wrlock(&registering);
}

void calls_go_on_registering(void) {
  pthread_rwlock_unlock(&registering);
  pthread_setcancelstate(cancel_before, NULL);
}

static SELDOM void note_registration(int fd) {
  if (child_is_here()) child_uses(fd);
  if (loop_is_looked_for()) loop_registers(fd);
}

static SELDOM int register_marked(int epoll, int operation, int fd, struct epoll_event* event) {
  if (operation == EPOLL_CTL_ADD) mode_begin_waits(fd);
  pthread_rwlock_rdlock(&registering);
  const int done = real.epoll_ctl(epoll, operation, fd, event);
  if (done == 0 && (marks_of(fd) & MARK_HELD) != 0) adopt_mirror(epoll, operation, fd, event);
  pthread_rwlock_unlock(&registering);
  if (done == 0 && operation == EPOLL_CTL_ADD && (marks_of(fd) & MARK_MOVED) == 0) {
    mode_note_wait(fd, MARK_EPOLLED);
    readiness_seen(fd);
  }
  return done;
}

SEEN_CALL int epoll_ctl(int epoll, int operation, int fd, struct epoll_event* event) {
  if (special_is(SPECIAL_CHILD | SPECIAL_LOOP) && operation == EPOLL_CTL_ADD) note_registration(fd);
  return (marks_of(fd) & (MARK_HELD | MARK_SEIZED | MARK_MOVED)) == 0
             ? real.epoll_ctl(epoll, operation, fd, event)
             : register_marked(epoll, operation, fd, event);
}

/* A thread that is cancelled in close() must not take the lock with it. */
static void stop_swaps(int* cancel) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, cancel);
  pthread_rwlock_rdlock(&registering);
}

static int go_on_with_swaps(int cancel, int done) {
  const int error = errno;
  pthread_rwlock_unlock(&registering);
  pthread_setcancelstate(cancel, NULL);
  errno = error;
  return done;
}

int calls_close(int fd) {
  int cancel = 0;
  stop_swaps(&cancel);
  return go_on_with_swaps(cancel, real.close(fd));
}

int calls_dup(int fd, int as, int flags) {
  int cancel = 0;
  stop_swaps(&cancel);
  return go_on_with_swaps(cancel, flags < 0 ? real.dup2(fd, as) : real.dup3(fd, as, flags));
}

void calls_in_child(void) { registering = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER; }

bool calls_listens(int fd) {
  int listens = 0;
  socklen_t size = sizeof listens;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}
