#pragma once

#include <optional>

#include "base/tail.hpp"
#include "master/health/probe.hpp"
#include "master/uv/loop.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// Runs a command in a process group of its own. When it has ended or timed out, the group is killed.
class ProbeCommand final : public Probe {
 public:
  // `base`: user, directory and environment; program, arguments and descriptors are filled in.
  ProbeCommand(uv_loop_t& loop, spawn::Request base, const std::vector<std::string>& command,
               Milliseconds limit, Done done);
  ~ProbeCommand() override;

 private:
  void begin(spawn::Request request);
  bool read_output();  // false: nothing to read now
  void on_exit();

  uv_loop_t& loop_;
  const Milliseconds limit_time_;
  bool late_ = false;
  spawn::Child child_;
  UniqueFd output_;
  Tail said_;
  std::optional<Poll> output_poll_;
  std::optional<Poll> exit_poll_;
  Timer begin_;
  Timer limit_;
};

}  // namespace liveswap::master
