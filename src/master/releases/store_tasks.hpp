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

// Runs liveswap-store to remove old releases, and to compare the committed release with the file at its path.
// Each task is a process.
class StoreTasks {
 public:
  // Both must outlive this object.
  StoreTasks(uv_loop_t& loop, const spawn::Request& store, const Options& options)
      : loop_(loop), store_(store), options_(options) {}

  // Removes old receipts and all releases except `keep` and the `more` newest other releases of the history.
  // Does nothing while another collection runs.
  void collect(const std::set<std::string>& keep, std::size_t more);
  // Cancels the collection. Call before a release is looked up or added, which the collection might remove.
  void stop_collecting();

  // Compares the committed release with the file that is at its path now. `done` is called later, on the
  // loop; `difference` is a sentence for the user, empty if both are equal.
  void compare(const rollout::Release& committed, std::function<void(const std::string& difference)> done);
  bool is_comparing() const { return comparison_ != nullptr; }
  // The difference that compare() found; empty: none, or not compared.
  const std::string& difference() const { return difference_; }

 private:
  spawn::Request request(const std::vector<std::string>& words) const;

  uv_loop_t& loop_;
  const spawn::Request& store_;
  const Options& options_;
  std::list<std::unique_ptr<Task>> dying_;  // cancelled, and not reaped yet
  std::unique_ptr<Task> collection_;
  std::unique_ptr<Task> comparison_;
  std::string difference_;
};

}  // namespace liveswap::master
