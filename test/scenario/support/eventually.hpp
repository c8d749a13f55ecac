#pragma once

#include <poll.h>

#include <chrono>

namespace scenario {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The longest wait for a condition that will come true, also on a machine busy with other tests.
inline constexpr milliseconds patience{30'000};

// Waits until the condition is true; false: not within the limit.
template <class Condition>
bool eventually(Condition&& condition, milliseconds limit = patience) {
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() >= end) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

// For the few tests that check that nothing happens for some time.
inline void let_pass(milliseconds time) { ::poll(nullptr, 0, static_cast<int>(time.count())); }

}  // namespace scenario
