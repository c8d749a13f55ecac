#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rollout/types.hpp"

namespace liveswap::master {

// Workers that have no process yet: the bytes of their release are being verified. By its file in the store.
class UnverifiedWorkers {
 public:
  struct Worker {
    rollout::Spawn order;
    std::optional<rollout::Note> note;  // of its start: told when it has a process
  };

  // True: the file is not being verified yet.
  bool add(const std::string& file, const rollout::Spawn& order) {
    waiting_[file].push_back({order, {}});
    return verifying_.insert(file).second;
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
  // The file has been verified: those that waited for it.
  std::vector<Worker> take(const std::string& file) {
    verifying_.erase(file);
    auto entry = waiting_.extract(file);
    return entry ? std::move(entry.mapped()) : std::vector<Worker>();
  }

 private:
  std::map<std::string, std::vector<Worker>> waiting_;
  std::set<std::string> verifying_;
};

}  // namespace liveswap::master
