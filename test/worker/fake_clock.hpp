// The monotonic clock of what is linked with fake_clock.cpp: the kernel's, and how far a test has moved it
// on. What the kernel itself waits for is not moved.
#pragma once

#include <cstdint>

namespace liveswap::test {

void move_clock(std::int64_t milliseconds);

// From here on only move_clock() moves it, so that a busy machine makes no difference.
void stop_clock();

// It is the kernel's again.
void set_clock_back();

// A test that moves the clock in a process that goes on.
struct ClockIsMoved {
  ClockIsMoved() = default;
  ClockIsMoved(const ClockIsMoved&) = delete;
  ~ClockIsMoved() { set_clock_back(); }
};

}  // namespace liveswap::test
