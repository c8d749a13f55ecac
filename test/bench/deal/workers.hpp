#pragma once

#include <sys/types.h>

#include <chrono>
#include <vector>

#include "group.hpp"

namespace deal {

using Microseconds = std::chrono::microseconds;

// What is wrong with worker 0.
enum class Sick { not_at_all, slow, stuck };

constexpr Microseconds usual_service{500}, slow_service{5'000}, stuck_for{1'000'000}, stuck_after{1'000'000};

// Single-threaded servers in processes of their own. Each waits by epoll, needs its service time for each
// byte that it reads, one after the other, and answers with its number. The service time is slept, so that
// two cores are enough. A stuck worker does nothing for `stuck_for`, once, `stuck_after` its start.
class Workers {
 public:
  Workers(const Group& group, unsigned count, Sick sick);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

 private:
  std::vector<pid_t> pids_;
};

}  // namespace deal
