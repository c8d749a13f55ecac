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

// What the worker host calls when it is not told otherwise (contract/channel.h).
inline constexpr const char* default_entry = "liveswap_main";

// Everything that comes before the first worker is touched, a process for each step, each with a time limit:
//
//   plugin   the pre-upgrade plugin, if there is one, may choose another path, or refuse
//   take     liveswap-store takes the file into the release store
//   check    a sacrificial worker host loads it from there, as the workers will
class Preparation {
 public:
  struct Tools {
    SpawnRequest worker;  // a worker host as the workers are started: user, limits, environment
    SpawnRequest store;   // liveswap-store as the master itself
    std::vector<std::string> arguments;  // of the application
    std::string entry;                   // the function to look for
    std::string plugin;                  // empty: none
    std::string state_dir;
    std::string there;  // what a relative path of the plugin is meant from
    Milliseconds plugin_limit{0};
    Milliseconds check_limit{0};  // of take and check, each
  };
  struct Failure : Error {
    bool unfit = false;  // nothing has begun: the plugin refused, or the file is none that could be tried
  };
  using Outcome = tl::expected<rollout::Release, Failure>;
  using Done = std::function<void(const Outcome&)>;

  // `asked`: absolute, what to upgrade to; `value`: what the plugin is told ("" when nothing was asked for).
  // `done` is called once, never from within the constructor, and may destroy the preparation. Without a
  // `value`, as at the start, the plugin is left out.
  Preparation(uv_loop_t& loop, const Tools& tools, std::string asked, const std::optional<std::string>& value,
              Done done);

  // When it is done: what the requester should know of the release; empty: nothing.
  const std::string& remark() const { return remark_; }

  // When it is done: of the bytes in the store (release/seal.hpp); empty: they have to be verified.
  const std::string& seal() const { return seal_; }

  // The step under way is killed; nothing more is heard of it. The processes are kept in `dying` until they
  // are reaped.
  void cancel(std::list<std::unique_ptr<Task>>& dying);

 private:
  void run(const char* name, SpawnRequest request, Milliseconds limit, Task::Done next);
  void after_plugin(const Task::Result& result);
  void take();
  void after_take(const Task::Result& result);
  void after_check(const Task::Result& result);
  void give_up(const std::string& text, bool unfit);
  void fail_step(const std::string& what, const Task::Result& result, Milliseconds limit, bool unfit);

  uv_loop_t& loop_;
  const Tools& tools_;
  rollout::Release release_;
  std::string file_;
  std::string remark_;
  std::string seal_;
  Done done_;
  std::unique_ptr<Task> task_;
};

}  // namespace liveswap::master
