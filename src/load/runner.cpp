#include "load/runner.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "load/close_reader.hpp"
#include "load/echo_reader.hpp"
#include "load/http_reader.hpp"

namespace liveswap::load {
namespace {

using std::chrono::milliseconds;

// epoll data.
constexpr std::uint64_t signal_id = 0, commands_id = 1, first_connection_id = 2;

// A late client starts at most this many requests before handling answers.
constexpr int most_at_once = 256;

// A slow request that fails immediately must not cause a busy loop.
constexpr Time least_slow_interval = milliseconds(10);

Pool make_pool(const Options& options, int epoll) {
  Pool::MakeReader make_reader;
  switch (options.target.protocol) {
    case Protocol::http:
      make_reader = [allow = options.allow_eof_body] { return std::make_unique<HttpReader>(allow); };
      break;
    case Protocol::echo:
      make_reader = [prefixed = options.echo_prefixed] { return std::make_unique<EchoReader>(prefixed); };
      break;
    case Protocol::close: make_reader = [] { return std::make_unique<CloseReader>(); }; break;
  }
  return {epoll,
          first_connection_id,
          Dialer(options.target, options.sources),
          std::move(make_reader),
          {options.keep_alive, options.connections, options.most_connections,
           options.target.protocol == Protocol::close}};
}

sigset_t stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  return set;
}

int watch_input(int epoll, int fd, std::uint64_t id) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

}  // namespace

Runner::Runner(const Options& options, Accounting& accounting,
               std::function<void(const std::string&)> announce)
    : options_(options),
      accounting_(accounting),
      announce_(std::move(announce)),
      epoll_(UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC))),
      pool_(make_pool(options, epoll_.get())),
      judge_(options.expectations),
      schedule_(options.rate, options.requests, options.duration),
      slow_starts_(options.slow, Time{}) {}

Result<void> Runner::set_up() {
  if (!epoll_) return os_fail("make", "an epoll descriptor", errno);
  // The default of 50 us would delay every request.
  ::prctl(PR_SET_TIMERSLACK, 1);
  if (options_.stops_on_signal)
    if (auto watched = watch_signals(); !watched) return watched;
  if (options_.commands < 0) return {};
  // EPERM: a regular file or /dev/null, which cannot be polled.
  if (const int error = watch_input(epoll_.get(), options_.commands, commands_id))
    return os_fail("wait for", "commands, expected a pipe or terminal", error);
  return {};
}

Result<void> Runner::watch_signals() {
  const sigset_t signals = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signals_ = UniqueFd::adopt(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return os_fail("make", "a signal descriptor", errno);
  if (const int error = watch_input(epoll_.get(), signals_.get(), signal_id))
    return os_fail("wait for", "signals", error);
  return {};
}

Result<void> Runner::run() {
  if (auto ready = set_up(); !ready) return ready;
  start_ = std::chrono::steady_clock::now();
  stopping_ = schedule_.over(now());
  while (!stopping_ || !attempts_.empty()) {
    if (auto waited = wait(); !waited) return waited;
    if (!stopping_) issue();
    serve_waiting();
    expire();
    stopping_ = stopping_ || schedule_.over(now());
  }
  if (fault_) return tl::unexpected<Error>(*fault_);
  return {};
}

Time Runner::next_wake() const {
  Time wake = Time::max();
  if (!attempts_.empty()) wake = attempts_.begin()->first.first;
  if (!waiting_.empty() && retry_at_ > Time{}) wake = std::min(wake, retry_at_);
  if (stopping_) return wake;
  wake = std::min(wake, schedule_.next().value_or(schedule_.end()));
  for (const Time start : slow_starts_) wake = std::min(wake, start);
  return wake;
}

Result<void> Runner::wait() {
  const Time left = std::max(Time{}, next_wake() - now());
  const timespec timeout{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  std::array<epoll_event, 256> events;
  const int count = ::epoll_pwait2(epoll_.get(), events.data(), events.size(), &timeout, nullptr);
  if (count < 0 && errno != EINTR) return os_fail("wait", "for events", errno);
  for (int i = 0; i < count; ++i) {
    switch (const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64) {
      case signal_id: on_signal(); break;
      case commands_id: on_commands(); break;
      default: on_connection(id); break;
    }
  }
  return {};
}

void Runner::on_signal() {
  stopping_ = true;
  // A second signal has its default effect: no waiting for the last answers.
  const sigset_t signals = stop_signals();
  signalfd_siginfo info;
  [[maybe_unused]] const ssize_t taken = ::read(signals_.get(), &info, sizeof info);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void Runner::on_commands() {
  char buffer[4096];
  const ssize_t n = ::read(options_.commands, buffer, sizeof buffer);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) {
    stopping_ = true;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, options_.commands, nullptr);
    return;
  }
  for (const Command& command : commands_.feed({buffer, static_cast<std::size_t>(n)})) execute(command);
}

void Runner::execute(const Command& command) {
  switch (command.what) {
    case Command::What::mark:
      accounting_.mark(command.text, now());
      announce_("phase: " + command.text);
      return;
    case Command::What::stop: stopping_ = true; return;
    case Command::What::bad:
      // An error, since a missed mark would put results into the wrong phase.
      stopping_ = true;
      if (!fault_) fault_ = Error{fmt::format("command '{}', expected 'mark NAME' or 'stop'", command.text)};
      return;
  }
}

void Runner::on_connection(Pool::Id id) {
  Connection* connection = pool_.find(id);
  if (!connection) return;
  if (connection->stage() == Connection::Stage::idle) pool_.on_idle_event(id);
  else finish_step(id, connection->advance());
}

void Runner::issue() {
  for (int count = 0; count < most_at_once; ++count) {
    const auto intended = schedule_.take(now());
    if (!intended) break;
    begin(Kind::rate, *intended);
  }
  const Time time = now();
  if (schedule_.over(time)) return;
  const auto due = std::erase_if(slow_starts_, [time](Time start) { return start <= time; });
  for (std::size_t i = 0; i < due; ++i) begin(Kind::slow, time);
}

void Runner::begin(Kind kind, Time intended) {
  const std::size_t phase = accounting_.begin(kind, intended, now());
  const AttemptId id{intended + (kind == Kind::rate ? options_.timeout : options_.slow_timeout), ++begun_};
  attempts_.emplace(id, Attempt{kind, phase, intended});
  waiting_.push_back(id);
}

void Runner::serve_waiting() {
  if (retry_at_ > now()) return;
  retry_at_ = {};
  while (!waiting_.empty()) {
    const AttemptId id = waiting_.front();
    const auto found = attempts_.find(id);
    if (found != attempts_.end() && !serve(id, found->second)) return;
    waiting_.pop_front();
  }
}

// Gives the attempt a connection. False: this attempt and all later ones must wait.
bool Runner::serve(AttemptId id, Attempt& attempt) {
  const Pool::Picked picked = pool_.pick();
  if (picked.id == 0) {
    if (picked.error == 0) return false;
    if (picked.error == EAGAIN && options_.target.family() == AF_UNIX) {
      // The accept queue is full: retries, as TCP does by sending its SYN again.
      retry_at_ = now() + milliseconds(1);
      return false;
    }
    end(id, failure_of_errno("connect", picked.error));
    return true;
  }
  attempt.connection = picked.id;
  busy_[picked.id] = id;
  finish_step(picked.id, pool_.find(picked.id)->start(request_for(attempt.kind, id.second)));
  return true;
}

void Runner::finish_step(Pool::Id id, Connection::Step step) {
  Verdict verdict;
  switch (step) {
    case Connection::Step::pending: {
      const int error = pool_.watch(id);
      if (error == 0) return;
      verdict = failure_of_errno("epoll", error);
      break;
    }
    case Connection::Step::answered:
      verdict = judge_.judge(pool_.find(id)->answer(), attempts_.at(busy_.at(id)).kind);
      break;
    case Connection::Step::failed: verdict = pool_.find(id)->failure(); break;
  }
  end(busy_.at(id), verdict, pool_.find(id)->port());
  busy_.erase(id);
  pool_.give_back(id, verdict.outcome == Outcome::ok, !waiting_.empty());
}

void Runner::end(AttemptId id, const Verdict& verdict, std::uint16_t port) {
  const auto found = attempts_.find(id);
  const Attempt attempt = found->second;
  attempts_.erase(found);
  const Time time = now();
  accounting_.end({attempt.kind, attempt.phase, attempt.intended, time, port}, verdict);
  if (attempt.kind == Kind::slow)
    slow_starts_.push_back(std::max(time, attempt.intended + least_slow_interval));
  if (verdict.outcome == Outcome::ok && accounting_.total.of(Outcome::ok) == 1)
    announce_("first answer: " + verdict.version);
}

void Runner::expire() {
  const Time time = now();
  while (!attempts_.empty() && attempts_.begin()->first.first <= time) {
    const auto [id, attempt] = *attempts_.begin();
    const Connection* connection = pool_.find(attempt.connection);
    end(id,
        failure(Outcome::timed_out, connection ? connection->waiting_for() : "waiting for a free connection"),
        connection ? connection->port() : 0);
    busy_.erase(attempt.connection);
    pool_.drop(attempt.connection);
  }
}

std::string Runner::request_for(Kind kind, std::uint64_t number) const {
  if (options_.target.protocol == Protocol::close) return "";
  if (options_.target.protocol == Protocol::echo) return fmt::format("liveswap-load {}\n", number);
  return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: liveswap-load\r\n{}\r\n",
                     kind == Kind::rate ? options_.target.path : options_.slow_path, options_.target.host,
                     options_.keep_alive ? "" : "Connection: close\r\n");
}

}  // namespace liveswap::load
