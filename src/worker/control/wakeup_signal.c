#include "wakeup_signal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "worker/base/libc.h"
#include "worker/base/thread_interrupt.h"

enum { WAKEUP = SIGURG, REST_MAX_MS = 1024 };

static int channel = -1;
static void (*knocked)(bool was_blocked);
static timer_t timer;
static _Atomic int64_t rest_ms;

/* A handler blocks its own signal; one that does not (SA_NODEFER) cannot be told. One for a single time is
 * none any more while it runs. */
bool wakeup_signal_may_meet_handler(const sigset_t* blocked) {
  static const int of_crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  struct sigaction action;
  for (size_t i = 0; i < sizeof of_crashes / sizeof of_crashes[0]; ++i)
    if (sigismember(blocked, of_crashes[i]) == 1) return true;
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (sigismember(blocked, number) != 1 || libc.sigaction(number, NULL, &action) != 0) continue;
    if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) return true;
  }
  return false;
}

#ifdef __x86_64__

/* A call that goes on after the handler is found as one that is about to begin. None of these is made by what
 * malloc(), pthread_create() and dlopen() do; a library is read from a regular file. */
static bool waits_for_somebody(long call, int fd) {
  struct stat file;
  switch (call) {
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_fcntl:
    case SYS_flock:
    case SYS_readv:
    case SYS_recvfrom:
    case SYS_recvmmsg:
    case SYS_recvmsg:
    case SYS_sendfile:
    case SYS_sendmsg:
    case SYS_sendto:
    case SYS_wait4:
    case SYS_waitid:
      return true;
    case SYS_read:
    case SYS_write:
    case SYS_writev:
      return fstat(fd, &file) == 0 && !S_ISREG(file.st_mode);
    default:
      return false;
  }
}

static bool is_call(const unsigned char* code) { return code[0] == 0x0f && code[1] == 0x05; }

/* signal(7): a call that a handler has interrupted fails with EINTR, or is made again with the registers that
 * it began with. */
static bool was_blocked(const ucontext_t* context) {
  if (wakeup_signal_may_meet_handler(&context->uc_sigmask)) return false;
  const greg_t* const registers = context->uc_mcontext.gregs;
  const unsigned char* const next = (const unsigned char*)registers[REG_RIP];
  if (registers[REG_RAX] == -EINTR) return is_call(next - 2);
  return is_call(next) && waits_for_somebody((long)registers[REG_RAX], (int)registers[REG_RDI]);
}

static bool can_tell(void) { return true; }

#else

static bool was_blocked(const ucontext_t* context) {
  (void)context;
  return false;
}

static bool can_tell(void) { return false; }

#endif

static void on_knock(int number, siginfo_t* info, void* context) {
  (void)number, (void)info;
  const int error = errno;
  interrupt_note();
  knocked(was_blocked(context));
  errno = error;
}

bool wakeup_signal_setup(int of_channel, void (*call)(bool was_blocked)) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WAKEUP};
  struct sigaction action = {.sa_sigaction = on_knock, .sa_flags = SA_RESTART | SA_SIGINFO};
  channel = of_channel;
  knocked = call;
  event._sigev_un._tid = getpid();
  sigfillset(&action.sa_mask);
  return can_tell() && libc.sigaction(WAKEUP, &action, NULL) == 0 &&
         timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
}

static bool set_async(bool on) {
  const int flags = libc.fcntl(channel, F_GETFL);
  return flags >= 0 && libc.fcntl(channel, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC) == 0;
}

/* The first thread has the number of the process. fcntl(2): the kernel compares the user who says this with
 * the user whom it knocks at later. */
static bool send_signals(void) {
  const struct f_owner_ex owner = {F_OWNER_TID, getpid()};
  return libc.fcntl(channel, F_SETOWN_EX, &owner) == 0 && libc.fcntl(channel, F_SETSIG, WAKEUP) == 0;
}

bool wakeup_signal_begin(void) { return send_signals() && set_async(true); }

void wakeup_signal_end(void) {
  set_async(false);
  wakeup_signal_no_more();
}

void wakeup_signal_in(int64_t ms) {
  const struct itimerspec when = {.it_value = {ms / 1000, ms % 1000 * 1000000}};
  rest_ms = ms;
  timer_settime(timer, 0, &when, NULL);
}

void wakeup_signal_again(void) {
  const int64_t next = rest_ms == 0 ? 1 : 2 * rest_ms;
  wakeup_signal_in(next < REST_MAX_MS ? next : REST_MAX_MS);
}

void wakeup_signal_no_more(void) {
  const struct itimerspec never = {0};
  rest_ms = 0;
  timer_settime(timer, 0, &never, NULL);
}

static sigset_t knock_alone(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, WAKEUP);
  return set;
}

void wakeup_signal_hold(sigset_t* before) {
  const sigset_t knock = knock_alone();
  libc.pthread_sigmask(SIG_BLOCK, &knock, before);
}

void wakeup_signal_forget(void) {
  const sigset_t knock = knock_alone();
  const struct timespec now = {0};
  while (sigtimedwait(&knock, NULL, &now) > 0) continue;
}

void wakeup_signal_release(const sigset_t* before) { libc.pthread_sigmask(SIG_SETMASK, before, NULL); }

bool wakeup_signal_is(int number) { return number == WAKEUP; }

bool wakeup_signal_is_blocked(const sigset_t* mask) { return sigismember(mask, WAKEUP) == 1; }

static bool is_handled(void) {
  struct sigaction action;
  return libc.sigaction(WAKEUP, NULL, &action) == 0 && action.sa_sigaction == on_knock;
}

bool wakeup_signal_is_heard_with(unsigned long long blocked) {
  return is_handled() && (blocked >> (WAKEUP - 1) & 1) == 0;
}

bool wakeup_signal_is_heard(void) {
  sigset_t mask;
  return is_handled() && libc.pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 &&
         !wakeup_signal_is_blocked(&mask);
}
