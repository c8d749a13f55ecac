#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "master/app_listeners/app_listeners.hpp"
#include "master/sockets/listeners.hpp"
#include "master/uv/loop.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// Recreates removed files of Unix listeners, by which clients find the sockets. Checks all files when inotify
// reports a change of one, and at each call of mend().
class ListenerFiles {
 public:
  // `looked` is called after a check that has recreated a file, or has found others missing than the last
  // one. The references must outlive this object.
  ListenerFiles(uv_loop_t& loop, Listeners& listeners, AppListeners& app_listeners,
                std::function<void(const rollout::FileNews&)> looked)
      : loop_(loop), listeners_(listeners), app_listeners_(app_listeners), looked_(std::move(looked)) {}

  // Checks all files and recreates the missing ones.
  void mend();
  // Updates the watches to the files that the listeners have now.
  void watch();

 private:
  uv_loop_t& loop_;
  Listeners& listeners_;
  AppListeners& app_listeners_;
  std::function<void(const rollout::FileNews&)> looked_;
  std::map<std::string, std::unique_ptr<FileWatch>> watches_;  // by path
  std::vector<std::string> lost_;                              // told last
};

}  // namespace liveswap::master
