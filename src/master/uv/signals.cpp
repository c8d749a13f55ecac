#include "master/uv/signals.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/unique_fd.hpp"

// libuv reports no sender of a signal. So `note_sender` is installed in front of libuv's handler, stores
// the sender and calls that handler.
namespace liveswap::master {
namespace {

// After a SIGHUP from a shell, the time in which the shell may exit, which closes the terminal.
constexpr Milliseconds shell_exit{250};
// The longest time from the closing of a terminal to the SIGHUP that the closing causes, on a busy machine.
constexpr Milliseconds news{2'000};

struct SignalSender {
  std::atomic<bool> is_kernel{false};
  std::atomic<pid_t> pid{0};
  std::atomic<void (*)(int)> next{nullptr};
};

SignalSender senders[NSIG];

void note_sender(int number, siginfo_t* info, void*) {
  SignalSender& sender = senders[number];
  sender.is_kernel = info->si_code == SI_KERNEL;
  sender.pid = info->si_pid;
  if (const auto next = sender.next.load()) next(number);
}

// Call after libuv has installed a handler.
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
  return ::sigaction(number, nullptr, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
         action.sa_handler == SIG_IGN;
}

// The controlling terminal; empty: none.
UniqueFd open_terminal() {
  return UniqueFd::adopt(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
}

// The session leader, or a shell in the session (`bash` within `ssh`), which sends SIGHUP to all jobs on
// exit. A sender that has exited may have been one.
bool may_be_shell(pid_t pid) {
  if (pid <= 0 || pid == ::getpid()) return false;
  const pid_t session = ::getsid(pid);
  return session < 0 ? errno == ESRCH : session == ::getsid(0);
}

}  // namespace

bool is_hang_up(const HangUp& sent) {
  return sent.by_kernel || (sent.by_shell && sent.gone_for && *sent.gone_for <= news);
}

Signals::Signals(uv_loop_t& loop, Obey obey)
    : loop_(loop), obey_(std::move(obey)), terminal_(open_terminal()), leaving_(loop) {
  if (terminal_) watch_terminal();
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
  if (not_from_terminal && (number == SIGINT || number == SIGQUIT)) ignored_from_terminal_.push_back(number);
  watches_.emplace_back(loop, number, [this, number, name, order, not_from_terminal] {
    if (!not_from_terminal || !senders[number].is_kernel) obey_(order, name);
  });
  stand_before(number);
}

// A terminal that was closed long ago is not the cause of a signal now.
void Signals::watch_terminal() {
  terminal_poll_.emplace(loop_, terminal_.get());
  terminal_poll_->start(UV_DISCONNECT, [this](int) {
    went_at_ = Milliseconds(uv_now(&loop_));
    terminal_poll_->stop();
  });
}

void Signals::on_hang_up() {
  const HangUp now{senders[SIGHUP].is_kernel, may_be_shell(senders[SIGHUP].pid), std::nullopt};
  const auto decide = [this, now] {
    HangUp sent = now;
    if (went_at_) sent.gone_for = Milliseconds(uv_now(&loop_)) - *went_at_;
    obey_(is_hang_up(sent) ? Order::hang_up : Order::upgrade, "SIGHUP");
  };
  if (now.by_shell && terminal_) leaving_.start(shell_exit, decide);
  else decide();
}

}  // namespace liveswap::master
