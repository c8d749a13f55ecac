#pragma once

#include <functional>
#include <string>

#include "master/receipts/failures.hpp"
#include "master/workers/worker_pool.hpp"
#include "protocol/message.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// Words of docs/reference/control-protocol.md.
const char* word(rollout::WorkerState state);

// What the engine tells, as lines of the log and as events of the control protocol.
class Notes {
 public:
  // All of them must outlive this object. `notice` is for what the user is to be told of a start.
  Notes(const rollout::Engine& engine, const WorkerPool& pool, const Failures& failures,
        std::function<void(const std::string&)> notice)
      : engine_(engine), pool_(pool), failures_(failures), notice_(std::move(notice)) {}

  void log(const rollout::Note& note) const;
  // One line of the protocol.
  std::string event(const rollout::Note& note) const;
  // All workers; `why` begins each line.
  void log_state(const char* why) const;

 private:
  const rollout::Engine& engine_;
  const WorkerPool& pool_;
  const Failures& failures_;
  std::function<void(const std::string&)> notice_;
};

}  // namespace liveswap::master
