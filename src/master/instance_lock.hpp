#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "protocol/instance.hpp"

namespace liveswap::master {

// Makes sure that an instance has one master, and that a new one does not start while workers of a dead one
// still finish. Two lock files in the state directory: `lock` is the master's alone; `workers.lock` is
// locked, shared, by each worker on an open file of its own, so the kernel itself releases it when the last
// of them has gone.
class InstanceLock {
 public:
  enum class Failure { refused, timed_out, failed };
  struct Refusal {
    Failure failure;
    std::string text;
  };

  // `patience`: how long to wait for the workers of a dead master, nothing: for ever. Says so in the log.
  // Blocks.
  static tl::expected<InstanceLock, Refusal> acquire(const protocol::Instance& instance,
                                                     std::optional<std::chrono::milliseconds> patience);

  // A shared lock for one worker, which inherits it; empty when that fails. No worker can take away
  // another's.
  UniqueFd life() const;

 private:
  UniqueFd master_;
  std::string workers_path_;
};

}  // namespace liveswap::master
