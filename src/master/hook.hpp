#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "master/worker_process.hpp"

namespace liveswap::master {

// A run of the pre-upgrade plugin: a worker host in hook mode, a process of its own, so that a plugin that crashes or
// hangs harms nobody.
class Hook {
 public:
  // The path to upgrade to, "" for the one asked for; or why there shall be no upgrade.
  using Done = std::function<void(Result<std::string>)>;

  // `done` is called once, when the process has been reaped; not after cancel().
  static Result<std::unique_ptr<Hook>> start(uv_loop_t& loop, SpawnRequest base, const std::string& plugin,
                                             const std::string& value, Done done, std::function<void()> gone);
  // Kills the plugin and what it has started in its process group.
  void cancel();

 private:
  explicit Hook(std::string plugin) : plugin_(std::move(plugin)) {}
  void on_frame(const Frame& frame);
  Result<std::string> result(const Ending& ending) const;

  std::string plugin_;
  Done done_;
  std::function<void()> gone_;
  bool answered_ = false;
  bool loaded_ = false;
  bool failed_ = false;
  std::string text_;
  std::unique_ptr<WorkerProcess> process_;
};

}  // namespace liveswap::master
