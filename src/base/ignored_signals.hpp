#pragma once

#include <signal.h>

#include <algorithm>
#include <array>

namespace liveswap {

// For the lifetime of the object, ignores the signals that would end or stop the master by default and that
// are not meant for a master:
//
//   SIGPIPE, SIGXFSZ             write() returns EPIPE or EFBIG instead
//   SIGTTOU                      a write from the background of a terminal succeeds
//   SIGALRM, SIGVTALRM, SIGPROF  from timers that were set before exec()
//   SIGXCPU                      from a soft limit of CPU time
//   SIGUSR1, SIGUSR2             until the master installs its handlers (master/uv/signals.hpp)
//   SIGPOLL, SIGPWR, SIGSTKFLT and real-time signals, which a mistyped kill(1) may send
//
// A signal that the embedding program handles or ignores is left unchanged; also one that is blocked, since a
// pending signal that comes to be ignored is lost.
class IgnoredSignals {
 public:
  IgnoredSignals() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    for (int number = 1; number < NSIG; ++number) {
      if (!is_ignored(number) || ::sigaction(number, nullptr, &before_[number]) != 0) continue;
      if (is_default(before_[number]) && ::sigismember(&blocked, number) == 0)
        ::sigaction(number, &ignore, nullptr);
    }
  }
  IgnoredSignals(const IgnoredSignals&) = delete;
  IgnoredSignals& operator=(const IgnoredSignals&) = delete;
  ~IgnoredSignals() {
    for (int number = 1; number < NSIG; ++number)
      if (is_ignored(number) && is_default(before_[number])) ::sigaction(number, &before_[number], nullptr);
  }

 private:
  // Exempt: job control (SIGSTOP, SIGCONT, SIGTSTP, SIGTTIN); signals that the master handles; signals
  // without effect by default (SIGCHLD, SIGWINCH, SIGURG); signals that a defect in this process raises
  // (SIGSEGV …); 32 and 33, which the C library uses for its threads.
  static bool is_ignored(int number) {
    static constexpr std::array others{SIGKILL, SIGSTOP, SIGCONT, SIGTSTP,  SIGTTIN, SIGTERM, SIGINT,
                                       SIGHUP,  SIGQUIT, SIGCHLD, SIGWINCH, SIGURG,  SIGSEGV, SIGBUS,
                                       SIGFPE,  SIGILL,  SIGABRT, SIGTRAP,  SIGSYS,  32,      33};
    return std::find(others.begin(), others.end(), number) == others.end();
  }
  static bool is_default(const struct sigaction& action) {
    return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL;
  }
  std::array<struct sigaction, NSIG> before_{};
};

}  // namespace liveswap
