#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "master/state/image.hpp"
#include "master/state/master_state.hpp"
#include "master/uv/loop.hpp"
#include "master/workers/worker_process.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// Replaces the program of this process by another one, which goes on with the same workers, listeners and
// clients (docs/explanation/re-execution.md):
//
//   waiting    something is under way that the state does not contain, such as an upgrade; until the limit
//   trying     the new program reads the state in a child process (`--read-state`). Nothing has changed yet
//   quiet      signals are blocked, and the loop acts upon those that it has caught: they would be lost
//   executing  the program is executed
//
// Commands of clients are finished first, too. At the limit those that still wait are answered early. If
// anything fails, this program goes on, and the requester is told why.
class Reexecution {
 public:
  struct Handlers {
    // What must end first, in words; nullopt: nothing. `late`: what clients wait for does not count any more.
    std::function<std::optional<std::string>(bool late)> unrest;
    std::function<state::MasterState()> save;
    // The program is about to be executed: answers every client that waits, except for `request`.
    std::function<void(rollout::RequestId request)> prepare;
    std::function<void(rollout::RequestId request, const std::string& text)> waiting;
    std::function<void(rollout::RequestId request, const std::string& text, bool refused)> failed;
  };
  Reexecution(uv_loop_t& loop, Handlers handlers);

  // `program`: empty: the path of this one.
  void begin(rollout::RequestId request, const std::string& program, Milliseconds limit);
  bool is_under_way() const { return request_.has_value(); }
  // The request of the re-execution that is under way.
  rollout::RequestId request() const { return request_.value_or(0); }

 private:
  void look();
  void attempt();
  Result<void> start_trial(state::MasterState& state);
  void on_tried(const Ending& ending);
  void become_quiet();
  void execute_if_quiet();
  void execute();
  void fail_with(const std::string& text, bool refused);

  uv_loop_t& loop_;
  Handlers handlers_;
  Timer timer_;
  std::optional<rollout::RequestId> request_;
  std::string program_;
  Milliseconds until_{0};
  std::string told_;    // what is waited for, as the requester was told last
  bool tried_ = false;  // the trial has passed
  bool late_ = false;   // the trial has exceeded its limit
  std::unique_ptr<WorkerProcess> trial_;
};

}  // namespace liveswap::master
