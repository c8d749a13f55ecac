#include "epoll_lock.h"

#include <errno.h>
#include <pthread.h>

#include "worker/base/libc.h"

static pthread_rwlock_t registering = PTHREAD_RWLOCK_INITIALIZER;

/* Cancelling the thread must not leave the lock taken. */
static __thread int cancel_before;

void epoll_lock_begin(void) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_before);
  pthread_rwlock_wrlock(&registering);
}

void epoll_lock_end(void) {
  pthread_rwlock_unlock(&registering);
  pthread_setcancelstate(cancel_before, NULL);
}

void epoll_lock_share(void) { pthread_rwlock_rdlock(&registering); }
void epoll_lock_unshare(void) { pthread_rwlock_unlock(&registering); }

/* Cancelling the thread in close() must not leave the lock taken. */
static void begin_shared(int* cancel) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, cancel);
  pthread_rwlock_rdlock(&registering);
}

static int end_shared(int cancel, int done) {
  const int error = errno;
  pthread_rwlock_unlock(&registering);
  pthread_setcancelstate(cancel, NULL);
  errno = error;
  return done;
}

int epoll_lock_close(int fd) {
  int cancel = 0;
  begin_shared(&cancel);
  return end_shared(cancel, libc.close(fd));
}

int epoll_lock_dup(int fd, int as, int flags) {
  int cancel = 0;
  begin_shared(&cancel);
  return end_shared(cancel, flags < 0 ? libc.dup2(fd, as) : libc.dup3(fd, as, flags));
}

void epoll_lock_in_child(void) { registering = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER; }
