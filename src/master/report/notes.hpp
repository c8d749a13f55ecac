#pragma once

#include <functional>
#include <string>

#include "master/receipts/failures.hpp"
#include "master/workers/worker_pool.hpp"
#include "protocol/message.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// The word for the worker's state in docs/reference/control-protocol.md.
const char* word(const rollout::Engine::Worker& worker);

// Turns the engine's notes into log lines and into events of the control protocol.
class Notes {
 public:
  // The references must outlive this object. `notice` receives remarks on the start, for the user.
  Notes(const rollout::Engine& engine, const WorkerPool& pool, const Failures& failures,
        std::function<void(const std::string&)> notice)
      : engine_(engine), pool_(pool), failures_(failures), notice_(std::move(notice)) {}

  void log(const rollout::Note& note) const;
  // The note as an event line of the protocol.
  std::string event(const rollout::Note& note) const;
  // Logs the engine's state and one line for each worker. `why` begins each line.
  void log_state(const char* why) const;

 private:
  const rollout::Engine& engine_;
  const WorkerPool& pool_;
  const Failures& failures_;
  std::function<void(const std::string&)> notice_;
};

}  // namespace liveswap::master
