#include "master/signals.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/unique_fd.hpp"

// libuv tells that a signal came, not from where. So `note_sender` stands before libuv's own handler: it writes down the
// sender, and calls that.
namespace liveswap::master {
namespace {

// Time for a shell that has sent SIGHUP to its jobs to exit, which takes the terminal away from them.
constexpr Milliseconds shell_exit{250};

struct Sender {
  std::atomic<bool> is_kernel{false};
  std::atomic<pid_t> pid{0};
  std::atomic<void (*)(int)> next{nullptr};
};

Sender senders[NSIG];

void note_sender(int number, siginfo_t* info, void*) {
  Sender& sender = senders[number];
  sender.is_kernel = info->si_code == SI_KERNEL;
  sender.pid = info->si_pid;
  if (const auto next = sender.next.load()) next(number);
}

// After libuv has put its handler there.
void stand_before(int number) {
  struct sigaction action {};
  ::sigaction(number, nullptr, &action);
  if ((action.sa_flags & SA_SIGINFO) && action.sa_sigaction == note_sender) return;
  senders[number].next = action.sa_handler;
  action.sa_flags |= SA_SIGINFO;
  action.sa_sigaction = note_sender;
  ::sigaction(number, &action, nullptr);
}

bool is_ignored(int number) {
  struct sigaction action {};
  return ::sigaction(number, nullptr, &action) == 0 && !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN;
}

bool has_terminal() {
  return static_cast<bool>(UniqueFd::adopt(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)));
}

// Of this session: its leader, or a shell that was started in it (`bash` within `ssh`), which sends SIGHUP to its jobs when it
// exits. One that has exited already cannot be told from them.
bool may_be_shell(pid_t pid) {
  if (pid <= 0 || pid == ::getpid()) return false;
  const pid_t session = ::getsid(pid);
  return session < 0 ? errno == ESRCH : session == ::getsid(0);
}

}  // namespace

bool is_hang_up(const HangUp& sent) { return sent.by_kernel || (sent.by_shell && sent.terminal_is_gone); }

Signals::Signals(uv_loop_t& loop, Obey obey) : obey_(std::move(obey)), had_terminal_(has_terminal()), leaving_(loop) {
  watch(loop, SIGTERM, "SIGTERM", Order::stop);
  watch(loop, SIGINT, "SIGINT", Order::stop);
  watch(loop, SIGQUIT, "SIGQUIT", Order::log_state);
  watch(loop, SIGUSR1, "SIGUSR1", Order::reopen_log);
  watch(loop, SIGUSR2, "SIGUSR2", Order::re_execute);
  if (is_ignored(SIGHUP)) return;
  watches_.emplace_back(loop, SIGHUP, [this] { on_hang_up(); });
  stand_before(SIGHUP);
}

void Signals::watch(uv_loop_t& loop, int number, const char* name, Order order) {
  const bool not_from_terminal = number != SIGTERM && is_ignored(number);
  watches_.emplace_back(loop, number, [this, number, name, order, not_from_terminal] {
    if (!not_from_terminal || !senders[number].is_kernel) obey_(order, name);
  });
  stand_before(number);
}

void Signals::on_hang_up() {
  const bool by_shell = may_be_shell(senders[SIGHUP].pid);
  const HangUp now{senders[SIGHUP].is_kernel, by_shell, false};
  const auto decide = [this, now] {
    HangUp sent = now;
    sent.terminal_is_gone = had_terminal_ && !has_terminal();
    obey_(is_hang_up(sent) ? Order::hang_up : Order::upgrade, "SIGHUP");
  };
  if (by_shell && had_terminal_)
    leaving_.start(shell_exit, decide);
  else
    decide();
}

}  // namespace liveswap::master
