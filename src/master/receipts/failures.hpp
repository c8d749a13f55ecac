#pragma once

#include <sys/types.h>

#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "rollout/types.hpp"

namespace liveswap::master {

// A line for an application that wanted to write beside its code; empty: `output` shows nothing of that kind.
// `releases`: the directory of the store's releases.
std::string advice_on(std::string_view output, const std::string& releases);

// The failures of workers, with the last output of each worker. The engine's reasons do not contain that
// output. It is added where people read the reason: in answers, events, receipts and the status.
class Failures {
 public:
  // How many failures are kept for with_output_of().
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
  // Returns `reason`. If `reason` contains the reason of a failure in this request ("slot 0, stage start:
  // …"), that worker's last output follows.
  std::string with_output_of(rollout::RequestId request, const std::string& reason) const;
  // The last failure in that slot; nullptr: none.
  const Failure* last_of(unsigned slot) const;

  // All members as values (state/archive.hpp).
  template <class Archive>
  void describe(Archive& a) {
    a("newest", newest_)("last", last_);
  }

 private:
  std::deque<Failure> newest_;  // of all slots, in order of time
  std::map<unsigned, Failure> last_;
};

}  // namespace liveswap::master
