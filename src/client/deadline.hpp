#pragma once

#include <chrono>
#include <limits>
#include <optional>

namespace liveswap::client {

// The time limit of a call, or none.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts now; zero or less: no limit.
  static Deadline after(std::chrono::milliseconds time) {
    Deadline deadline;
    if (time.count() > 0) deadline.at_ = Clock::now() + time;
    return deadline;
  }

  bool limited() const { return at_.has_value(); }
  bool has_passed() const { return at_ && Clock::now() >= *at_; }

  // Timeout for poll(): -1 without a limit, 0 after the deadline. Rounded up: 0 during the last millisecond
  // would be a busy loop.
  int poll_timeout() const {
    if (!at_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*at_ - Clock::now()).count();
    if (left <= 0) return 0;
    return left > std::numeric_limits<int>::max() ? std::numeric_limits<int>::max() : static_cast<int>(left);
  }

 private:
  std::optional<Clock::time_point> at_;
};

}  // namespace liveswap::client
