#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "master/preparation/task.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// The worker host's default entry (contract/channel.h).
inline constexpr const char* default_entry = "liveswap_main";

// Everything before the first worker is touched. Each step is a process with a time limit:
//
//   plugin   the pre-upgrade plugin, if any, may choose another path or refuse
//   take     liveswap-store copies the file into the store
//   check    a worker host loads it from there on trial
//   runtime  liveswap-store records what runs a script
class Preparation {
 public:
  struct Tools {
    spawn::Request worker;               // as workers are started: user, limits, environment
    spawn::Request store;                // liveswap-store
    std::vector<std::string> arguments;  // of the application
    std::string entry;                   // the function to look up
    std::vector<std::string> launch;     // launch_words() of master/settings.hpp
    std::string plugin;                  // empty: none
    std::string state_dir;
    std::string there;  // base of the plugin's relative paths
    Milliseconds plugin_limit{0};
    Milliseconds check_limit{0};  // of take and of check
  };
  struct Failure : Error {
    bool unfit = false;  // nothing has begun: the plugin refused, or there is no shared library at the path
  };
  using Outcome = tl::expected<rollout::Release, Failure>;
  using Done = std::function<void(const Outcome&)>;

  // `asked`: the absolute path to upgrade to. `value`: the plugin's argument ("": the requester named no
  // path); nullopt, as at the start: the plugin does not run. `done` is called once, never from within the
  // constructor, and may destroy the preparation.
  Preparation(uv_loop_t& loop, const Tools& tools, std::string asked, const std::optional<std::string>& value,
              Done done);

  // Valid when done: a remark for the requester; may be empty.
  const std::string& remark() const { return remark_; }

  // Valid when done: the seal of the stored files (release/seal.hpp); empty: examine them.
  const std::string& seal() const { return seal_; }

  // Valid when done: the runtime of a script, as recorded (JSON); else empty.
  const std::string& runtime() const { return runtime_; }

  // Kills the current step; `done` is not called. The process is kept in `dying` until it is reaped.
  void cancel(std::list<std::unique_ptr<Task>>& dying);

 private:
  void run(const char* name, spawn::Request request, Milliseconds limit, Task::Done next);
  void after_plugin(const Task::Result& result);
  void take();
  void after_take(const Task::Result& result);
  void after_check(const Task::Result& result);
  void after_runtime(const Task::Result& result);
  void succeed();
  void give_up(const std::string& text, bool unfit);
  void fail_step(const std::string& what, const Task::Result& result, Milliseconds limit, bool unfit);

  uv_loop_t& loop_;
  const Tools& tools_;
  rollout::Release release_;
  std::string file_;
  std::string remark_;
  std::string seal_;
  std::string runtime_;
  Done done_;
  std::unique_ptr<Task> task_;
};

}  // namespace liveswap::master
