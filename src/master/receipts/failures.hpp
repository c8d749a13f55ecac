#pragma once

#include <sys/types.h>

#include <deque>
#include <map>
#include <string>

#include "rollout/types.hpp"

namespace liveswap::master {

// Workers that have failed, with what each wrote last. The engine decides by what happened, not by what was
// written, so the output of a worker is added to the reason only where people read it.
class Failures {
 public:
  // So many failures are kept with their output, for the answer to the request.
  static constexpr std::size_t limit = 64;

  struct Failure {
    rollout::RequestId request = 0;
    std::string reason;
    std::string output;
    unsigned slot = 0;
    rollout::Generation generation = 0;
    pid_t pid = 0;
    rollout::Time at{0};
  };
  void add(Failure failure);
  // `reason`, and below it the output of the failure that it names ("slot 0, stage start: …"), if any.
  std::string with_output_of(rollout::RequestId request, const std::string& reason) const;
  // The last one in that slot; nullptr: none.
  const Failure* last_of(unsigned slot) const;

 private:
  std::deque<Failure> newest_;  // of all slots, the last one behind
  std::map<unsigned, Failure> last_;
};

}  // namespace liveswap::master
