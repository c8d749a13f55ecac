#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "protocol/instance.hpp"

namespace liveswap::master {

// Ensures that an instance has only one master, and that a new master does not start while workers of a dead
// master still drain that it cannot take over. Uses two lock files in the state directory. The master holds
// `lock` exclusively. Each worker holds a shared lock on `workers.lock`, with an open file description of its
// own, so the kernel releases the file when the last worker has exited.
class InstanceLock {
 public:
  enum class Failure { refused, timed_out, failed };
  struct Refusal {
    Failure failure;
    std::string text;
  };

  // Takes `lock`.
  static tl::expected<InstanceLock, Refusal> acquire(const protocol::Instance& instance);
  // Waits until no worker of a dead master holds `workers.lock`. `patience`: limit for that wait; nullopt:
  // none. Logs that the master waits. Blocks.
  tl::expected<void, Refusal> wait_for_workers(std::optional<std::chrono::milliseconds> patience) const;

  // The lock of the former image of this program; lock(): for the next one, borrowed.
  static InstanceLock adopt(UniqueFd lock, const protocol::Instance& instance);
  int lock() const { return master_.get(); }

  // A new shared lock on `workers.lock`, as a descriptor that one worker inherits. No worker can release the
  // lock of another. Empty: the file cannot be opened.
  UniqueFd life() const;

 private:
  UniqueFd master_;
  protocol::Instance instance_;
  std::string workers_path_;
};

}  // namespace liveswap::master
