#pragma once

#include <poll.h>

#include <chrono>

namespace scenario {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How long a condition that is sure to come may take on a machine that is busy with other tests.
inline constexpr milliseconds patience{30'000};

// Whether the condition came true within the limit.
template <class Condition>
bool eventually(Condition&& condition, milliseconds limit = patience) {
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() >= end) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

// For the few tests whose condition is time itself: that nothing happens in it.
inline void let_pass(milliseconds time) { ::poll(nullptr, 0, static_cast<int>(time.count())); }

}  // namespace scenario
