#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rollout/types.hpp"

namespace liveswap::master {

// Workers without a process: the engine has ordered their spawn, but their release is still being examined.
// Grouped by the release's file in the store.
class UnspawnedWorkers {
 public:
  struct Worker {
    rollout::Spawn order;
    std::optional<rollout::Note> note;  // the `spawned` note, reported when the process exists
  };

  // True: the caller must start the examination of the file; false: it is running already.
  bool add(const std::string& file, const rollout::Spawn& order) {
    waiting_[file].push_back({order, {}});
    return examining_.insert(file).second;
  }
  void keep(const rollout::Note& note) {
    for (auto& [file, workers] : waiting_)
      for (Worker& one : workers)
        if (one.order.worker == note.worker) one.note = note;
  }
  void remove(rollout::WorkerId worker) {
    for (auto& [file, workers] : waiting_)
      std::erase_if(workers, [&](const Worker& one) { return one.order.worker == worker; });
  }
  // Call when the examination of the file has ended. Removes and returns the workers that waited for it.
  std::vector<Worker> take(const std::string& file) {
    examining_.erase(file);
    auto entry = waiting_.extract(file);
    return entry ? std::move(entry.mapped()) : std::vector<Worker>();
  }

 private:
  std::map<std::string, std::vector<Worker>> waiting_;
  std::set<std::string> examining_;
};

}  // namespace liveswap::master
