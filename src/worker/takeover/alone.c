/* Calls after which the control thread could not come any more, or would make no difference (worker/aside.h):
 * threads, filters, signals. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <threads.h>

#include "calls.h"
#include "kick.h"
#include "real.h"
#include "worker/aside.h"
#include "worker/knock.h"

SEEN_CALL int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                             void* argument) {
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
  sigset_t was;
  const int error = real.pthread_sigmask(how, set, &was);
  if (error != 0) return error;
  if (set != NULL) kick_note_mask(how, set);
  if (set != NULL && how != SIG_UNBLOCK) aside_recheck(&was);
  if (before != NULL) *before = was;
  return 0;
}

SEEN_CALL int sigprocmask(int how, const sigset_t* set, sigset_t* before) {
  const int error = pthread_sigmask(how, set, before);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

static void note_action(int number) {
  sigset_t mask;
  if (knock_is(number) && real.pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0) aside_recheck(&mask);
}

SEEN_CALL int sigaction(int number, const struct sigaction* action, struct sigaction* before) {
  const int done = real.sigaction(number, action, before);
  if (action != NULL) note_action(number);
  return done;
}

SEEN_CALL sighandler_t signal(int number, sighandler_t handler) {
  const sighandler_t before = real.signal(number, handler);
  note_action(number);
  return before;
}
