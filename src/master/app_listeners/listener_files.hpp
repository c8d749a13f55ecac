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

// Keeps the files in their places by which clients find Unix listeners: anybody may remove a file at any
// time. They are looked at when the kernel says that one has changed (inotify), and whenever mend() is
// called.
class ListenerFiles {
 public:
  // `looked` is told what each look has found. The listeners must outlive this object.
  ListenerFiles(uv_loop_t& loop, Listeners& listeners, AppListeners& app_listeners,
                std::function<void(const rollout::FileNews&)> looked)
      : loop_(loop), listeners_(listeners), app_listeners_(app_listeners), looked_(std::move(looked)) {}

  // Makes the files that are missing.
  void mend();
  // Watches the files that there are now.
  void watch();

 private:
  uv_loop_t& loop_;
  Listeners& listeners_;
  AppListeners& app_listeners_;
  std::function<void(const rollout::FileNews&)> looked_;
  std::map<std::string, std::unique_ptr<FileWatch>> watches_;  // by path
};

}  // namespace liveswap::master
