/* Calls that affect parking (control/parking.h): before a second thread or a seccomp filter the control
 * thread must be there; a changed signal mask or action may keep the wakeup signal away. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <threads.h>

#include "worker/base/libc.h"
#include "worker/base/thread_interrupt.h"
#include "worker/control/parking.h"
#include "worker/control/wakeup_signal.h"

INTERPOSED int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                              void* argument) {
  control_thread_stay();
  return libc.pthread_create(thread, attributes, run, argument);
}

INTERPOSED int thrd_create(thrd_t* thread, thrd_start_t run, void* argument) {
  control_thread_stay();
  return libc.thrd_create(thread, run, argument);
}

/* A filter may forbid new threads. */
INTERPOSED int prctl(int option, ...) {
  unsigned long a[4];
  va_list arguments;
  va_start(arguments, option);
  for (int i = 0; i < 4; ++i) a[i] = va_arg(arguments, unsigned long);
  va_end(arguments);
  if (option == PR_SET_SECCOMP) control_thread_stay();
  return libc.prctl(option, a[0], a[1], a[2], a[3]);
}

INTERPOSED int pthread_sigmask(int how, const sigset_t* set, sigset_t* before) {
  sigset_t was;
  const int error = libc.pthread_sigmask(how, set, &was);
  if (error != 0) return error;
  if (set != NULL) interrupt_note_mask(how, set);
  if (set != NULL && how != SIG_UNBLOCK) control_thread_recheck_signal();
  if (before != NULL) *before = was;
  return 0;
}

INTERPOSED int sigprocmask(int how, const sigset_t* set, sigset_t* before) {
  const int error = pthread_sigmask(how, set, before);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

static void note_action(int number) {
  if (wakeup_signal_is(number)) control_thread_recheck_signal();
}

INTERPOSED int sigaction(int number, const struct sigaction* action, struct sigaction* before) {
  const int done = libc.sigaction(number, action, before);
  if (action != NULL) note_action(number);
  return done;
}

INTERPOSED sighandler_t signal(int number, sighandler_t handler) {
  const sighandler_t before = libc.signal(number, handler);
  note_action(number);
  return before;
}
