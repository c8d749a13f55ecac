/* Calls after which the control thread could not come any more, or would make no difference (worker/aside.h): threads, filters,
 * signals. */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <threads.h>

#include "worker/aside.h"
#include "calls.h"
#include "real.h"

SEEN_CALL int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  aside_stay();
  return real.pthread_create(thread, attributes, run, argument);
}

SEEN_CALL int thrd_create(thrd_t* thread, thrd_start_t run, void* argument) {
  aside_stay();
  return real.thrd_create(thread, run, argument);
}

/* A filter may forbid to start threads. */
SEEN_CALL int prctl(int option, ...) {
  unsigned long a[4];
  va_list arguments;
  va_start(arguments, option);
  for (int i = 0; i < 4; ++i) a[i] = va_arg(arguments, unsigned long);
  va_end(arguments);
  if (option == PR_SET_SECCOMP) aside_stay();
  return real.prctl(option, a[0], a[1], a[2], a[3]);
}

SEEN_CALL int pthread_sigmask(int how, const sigset_t* set, sigset_t* before) {
  const int error = real.pthread_sigmask(how, set, before);
  if (set != NULL) aside_recheck();
  return error;
}

SEEN_CALL int sigprocmask(int how, const sigset_t* set, sigset_t* before) {
  const int done = real.sigprocmask(how, set, before);
  if (set != NULL) aside_recheck();
  return done;
}

SEEN_CALL int sigaction(int number, const struct sigaction* action, struct sigaction* before) {
  const int done = real.sigaction(number, action, before);
  if (action != NULL) aside_recheck();
  return done;
}

SEEN_CALL sighandler_t signal(int number, sighandler_t handler) {
  const sighandler_t before = real.signal(number, handler);
  aside_recheck();
  return before;
}
