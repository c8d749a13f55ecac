#pragma once

#include <sys/types.h>

#include <vector>

#include "base/unique_fd.hpp"

namespace scenario::micro {

// Processes that load a library and wait: workers without a master.
class BareWorkers {
 public:
  // Starts them one after the other, each when the one before is ready.
  explicit BareWorkers(unsigned count);
  // Ends them all at once, and waits for their ends.
  void end();
  ~BareWorkers() { end(); }

  // A byte to each and back.
  void ask_all();

 private:
  struct Worker {
    pid_t pid;
    liveswap::UniqueFd channel;
  };
  std::vector<Worker> workers_;
};

}  // namespace scenario::micro
