#pragma once

#include <deque>
#include <map>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// Limits how often hung workers are replaced, so that an application whose workers hang again and again, or
// all at once because a database does not answer, is not restarted in a loop. With the default pace:
//
//   - in all slots together, as many in a minute as there are slots;
//   - in one slot, the second replacement in a row 5 s after the first at the earliest, the third 10 s after
//     the second, and so on up to a minute. Five minutes without a replacement end the row.
class ReplacementLimits {
 public:
  explicit ReplacementLimits(const ReplacementPace& pace) : pace_(pace) {}

  // When the hung worker of this slot may be replaced; not before `now`.
  Time next(Time now, unsigned slot, unsigned forks) const;
  // Its successor has been started.
  void note(Time now, unsigned slot);

 private:
  struct Row {
    Time last{0};
    unsigned count = 0;
  };
  Time pause_after(unsigned count) const;

  ReplacementPace pace_;
  std::deque<Time> recent_;  // of the last window, the oldest first
  std::map<unsigned, Row> rows_;
};

}  // namespace liveswap::rollout
