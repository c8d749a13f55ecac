#include "verify/interrupt.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace liveswap::verify {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds look_every{10};

sigset_t caught() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    // A signal ignored at start (nohup) stays ignored.
    if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) ::sigaddset(&set, number);
  }
  return set;
}

void wake(const UniqueFd& event) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event.get(), &one, sizeof one);
}

}  // namespace

Interrupt::Interrupt()
    : stop_(UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC))), woken_(UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC))) {
  const sigset_t set = caught();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = UniqueFd::adopt(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  thread_ = std::thread([this] { watch(); });
}

Interrupt::~Interrupt() {
  wake(stop_);
  thread_.join();
  // The signals stay blocked, because the process is about to exit with its own status. Discards pending
  // ones.
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
  }
}

void Interrupt::watch() {
  pollfd polled[2] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  for (;;) {
    if (::poll(polled, 2, -1) < 0) continue;
    if (polled[1].revents != 0) return;
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != sizeof info || number_ != 0) continue;
    const std::lock_guard lock(mutex_);
    number_ = static_cast<int>(info.ssi_signo);
    wake(woken_);
    if (handler_) std::exchange(handler_, {})();
  }
}

void Interrupt::set_handler(std::function<void()> handler) {
  const std::lock_guard lock(mutex_);
  if (number_ != 0 && handler) handler();
  else handler_ = std::move(handler);
}

bool Interrupt::wait(milliseconds limit, const std::function<bool()>& condition) const {
  const auto end = Clock::now() + limit;
  for (;;) {
    if (number_ != 0) return false;
    if (condition()) return true;
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    if (left.count() <= 0) return false;
    pollfd polled{woken_.get(), POLLIN, 0};
    ::poll(&polled, 1, static_cast<int>(std::min(left, look_every).count()));
  }
}

bool Interrupt::pause(milliseconds time) const {
  const auto end = Clock::now() + time;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    if (number_ != 0) return false;
    if (left.count() <= 0) return true;
    pollfd polled{woken_.get(), POLLIN, 0};
    ::poll(&polled, 1, static_cast<int>(left.count()));
  }
}

void Interrupt::die() const {
  ::signal(number_, SIG_DFL);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, number_);
  ::raise(number_);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::_exit(128 + number_);
}

}  // namespace liveswap::verify
