#include <algorithm>

#include "verify/application.hpp"

namespace liveswap::verify {

bool Snapshot::whole() const {
  std::set<unsigned> filled;
  for (const Worker& worker : workers) {
    if (worker.state != "ready") return false;
    filled.insert(worker.slot);
  }
  return slots > 0 && filled.size() == slots && workers.size() == slots;
}

std::set<pid_t> Snapshot::pids() const {
  std::set<pid_t> result;
  for (const Worker& worker : workers) result.insert(worker.pid);
  return result;
}

std::set<std::string> Snapshot::releases() const {
  std::set<std::string> result;
  for (const Worker& worker : workers) result.insert(worker.release);
  return result;
}

}  // namespace liveswap::verify
