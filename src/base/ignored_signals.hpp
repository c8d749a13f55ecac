#pragma once

#include <signal.h>

#include <algorithm>
#include <array>

namespace liveswap {

// Ignores the signals that end a process by default and that nobody sends to a master on purpose: what a
// write causes (SIGPIPE; SIGXFSZ at a limit on the size of files; SIGTTOU in the background of a terminal),
// timers that were set before exec, limits (SIGXCPU), real-time signals, and what an administrator mistypes.
// SIGUSR1 and SIGUSR2 too, until there is a handler for them. Then the write fails or goes through, and the
// others do nothing. A handler of a program that embeds the master stays.
class IgnoredSignals {
 public:
  IgnoredSignals() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    for (int number = 1; number < NSIG; ++number) {
      if (!is_ignored(number) || ::sigaction(number, nullptr, &before_[number]) != 0) continue;
      if (is_default(before_[number])) ::sigaction(number, &ignore, nullptr);
    }
  }
  IgnoredSignals(const IgnoredSignals&) = delete;
  IgnoredSignals& operator=(const IgnoredSignals&) = delete;
  ~IgnoredSignals() {
    for (int number = 1; number < NSIG; ++number)
      if (is_ignored(number) && is_default(before_[number])) ::sigaction(number, &before_[number], nullptr);
  }

 private:
  // Not: what stops and continues, the master's orders, what says nothing by default, and what a defect of
  // its own raises. 32 and 33 are the C library's own.
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
