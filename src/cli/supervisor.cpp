#include "cli/supervisor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/ignored_signals.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"

// Protocol from the master to the supervisor, by a pipe: 'n' and a notice, 'r' (ready), or 'o', the exit
// status as a byte and the text of the outcome; each ends with NUL.
namespace liveswap::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array passed_on{SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT};

// Before the next start: doubles while masters do not live for `healthy`.
constexpr Milliseconds first_pause{100}, longest_pause{10'000}, healthy{10'000};

sigset_t watched_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : passed_on) ::sigaddset(&set, number);
  ::sigaddset(&set, SIGCHLD);
  return set;
}

void tell(int pipe, const std::string& text) {
  const std::string record = text + '\0';
  [[maybe_unused]] const auto written = ::write(pipe, record.data(), record.size());
}

// The master's process. Descriptors of the supervisor, such as its connection to the command that waits for
// the start, must not stay open here.
[[noreturn]] void be_master(Options options, const std::function<Outcome(const Options&)>& run, int pipe,
                            const sigset_t& before) {
  constexpr int place = 3;
  if (::dup2(pipe, place) < 0) ::_exit(failed);
  ::fcntl(place, F_SETFD, FD_CLOEXEC);
  ::syscall(SYS_close_range, static_cast<unsigned>(place + 1), ~0U, 0);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  options.on_notice = [](const std::string& text) { tell(place, "n" + text); };
  options.on_ready = [] { tell(place, "r"); };
  const Outcome outcome = run(options);
  tell(place, std::string("o") + static_cast<char>('0' + outcome.status) + outcome.text);
  std::fflush(nullptr);
  ::_exit(outcome.status);
}

class Supervisor {
 public:
  Supervisor(const Options& options, const std::function<Outcome(const Options&)>& run)
      : options_(options), run_(run) {}

  Outcome supervise() {
    const sigset_t watched = watched_signals();
    ::sigprocmask(SIG_BLOCK, &watched, &before_);
    const IgnoredSignals ignored;
    signals_ = UniqueFd::adopt(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return {failed, os_error("watch the signals of", "the supervisor", errno).text};
    for (;;) {
      const auto begin = Clock::now();
      if (auto trouble = start()) return *trouble;
      watch();
      if (auto outcome = end_of_master()) return *outcome;
      if (Clock::now() - begin >= healthy) pause_ = first_pause;
      log::warning("the master (pid {}) {}; it is started again in {} ms", pid_, how_, pause_.count());
      if (wait_for_signal(pause_)) return {};
      pause_ = std::min(2 * pause_, longest_pause);
      // HEAD says what to run from now on.
      options_.force_target = false;
    }
  }

 private:
  std::optional<Outcome> start() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      return Outcome{failed, os_error("make a pipe for", "the master", errno).text};
    pipe_ = UniqueFd::adopt(ends[0]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const auto theirs = UniqueFd::adopt(ends[1]);
    outcome_.reset();
    said_.clear();
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) return Outcome{failed, os_error("fork", "the master", errno).text};
    if (pid_ == 0) be_master(options_, run_, theirs.get(), before_);
    return std::nullopt;
  }

  // Until the master has ended.
  void watch() {
    for (;;) {
      pollfd polls[] = {{signals_.get(), POLLIN, 0}, {pipe_.get(), POLLIN, 0}};
      ::poll(polls, pipe_ ? 2 : 1, -1);
      listen();
      signalfd_siginfo signal{};
      while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
        const auto number = static_cast<int>(signal.ssi_signo);
        if (number != SIGCHLD) ::kill(pid_, number);
      }
      if (::waitpid(pid_, &status_, WNOHANG) == pid_) return listen();
    }
  }

  void listen() {
    char bytes[4096];
    while (pipe_) {
      const ssize_t size = ::read(pipe_.get(), bytes, sizeof bytes);
      if (size < 0) return;
      if (size == 0) return pipe_.reset();
      said_.append(bytes, static_cast<std::size_t>(size));
      for (auto end = said_.find('\0'); end != std::string::npos; end = said_.find('\0')) {
        take(said_.substr(0, end));
        said_.erase(0, end + 1);
      }
    }
  }

  void take(const std::string& record) {
    if (record.empty()) return;
    if (record[0] == 'n' && !was_ready_ && options_.on_notice) options_.on_notice(record.substr(1));
    if (record[0] == 'r' && !std::exchange(was_ready_, true) && options_.on_ready) options_.on_ready();
    if (record[0] == 'o' && record.size() > 1) outcome_ = Outcome{record[1] - '0', record.substr(2)};
  }

  // nullopt: another one shall be started.
  std::optional<Outcome> end_of_master() {
    if (WIFSIGNALED(status_)) {
      const char* name = ::sigabbrev_np(WTERMSIG(status_));
      how_ = fmt::format("was ended by SIG{}", name ? name : std::to_string(WTERMSIG(status_)));
      if (was_ready_) return std::nullopt;
      return Outcome{failed, "the master " + how_ + " before its workers were ready"};
    }
    const int code = WEXITSTATUS(status_);
    how_ = fmt::format("ended with exit status {}{}", code, outcome_ ? ": " + outcome_->text : "");
    // Such as a port that is not free yet.
    if (was_ready_ && code != ok && code != usage && code != refused) return std::nullopt;
    return outcome_.value_or(Outcome{code, {}});
  }

  // Whether a signal that stops a master has come.
  bool wait_for_signal(Milliseconds time) {
    const auto until = Clock::now() + time;
    while (Clock::now() < until) {
      pollfd polls[] = {{signals_.get(), POLLIN, 0}};
      const auto left = std::chrono::duration_cast<Milliseconds>(until - Clock::now());
      ::poll(polls, 1, static_cast<int>(left.count()) + 1);
      signalfd_siginfo signal{};
      while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal)
        if (signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT) return true;
    }
    return false;
  }

  Options options_;
  const std::function<Outcome(const Options&)>& run_;
  sigset_t before_{};
  UniqueFd signals_, pipe_;
  pid_t pid_ = 0;
  int status_ = 0;
  bool was_ready_ = false;
  std::string said_;  // of the next record
  std::optional<Outcome> outcome_;
  std::string how_;
  Milliseconds pause_ = first_pause;
};

}  // namespace

Outcome supervise(const Options& options, const std::function<Outcome(const Options&)>& run) {
  return Supervisor(options, run).supervise();
}

}  // namespace liveswap::cli
