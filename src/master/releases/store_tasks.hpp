#pragma once

#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>

#include "liveswap.hpp"
#include "master/preparation/task.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// What liveswap-store does for the master beside preparations, in a process each.
class StoreTasks {
 public:
  // Both must outlive this object.
  StoreTasks(uv_loop_t& loop, const SpawnRequest& store, const Options& options)
      : loop_(loop), store_(store), options_(options) {}

  // Removes old receipts, and all releases but `keep` and `more` further ones, the newest of the history.
  // Nothing happens while a collection runs.
  void collect(const std::set<std::string>& keep, std::size_t more);
  // It may be about to remove what is going to be asked for.
  void stop_collecting();

  // Compares the committed release with the file at its path; `done` is called later, on the loop, with how
  // that differs, or with nothing.
  void compare(const rollout::Release& committed, std::function<void(const std::string& difference)> done);
  bool is_comparing() const { return comparison_ != nullptr; }
  // What compare() found.
  const std::string& difference() const { return difference_; }

 private:
  SpawnRequest request(std::vector<std::string> words) const;

  uv_loop_t& loop_;
  const SpawnRequest& store_;
  const Options& options_;
  std::list<std::unique_ptr<Task>> dying_;  // cancelled, and not reaped yet
  std::unique_ptr<Task> collection_;
  std::unique_ptr<Task> comparison_;
  std::string difference_;
};

}  // namespace liveswap::master
