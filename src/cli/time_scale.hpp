#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace liveswap::cli {

// Which column of a picture a moment has.
//
// The moments of an upgrade are milliseconds apart in one phase and minutes in the next: on an even scale
// everything but the longest phase would share a column. So each phase has a scale of its own, and within it
// each moment that shall be told from the others gets a column of its own where there are enough; the room
// that is left is shared by length. What remains true is the order: what comes later never stands further
// left.
class TimeScale {
 public:
  struct Phase {
    std::string name;
    std::int64_t at = 0;      // milliseconds
    std::size_t column = 0;   // where it begins; of the result only
    std::size_t columns = 0;  // of the result only
  };

  // `phases` in their order, each until the next one, the last until `length`; `moments` in any order; at
  // least 1 column. Phases of which there are too many for the width count as one without a name.
  TimeScale(std::vector<Phase> phases, const std::vector<std::int64_t>& moments, std::int64_t length,
            std::size_t width);

  std::size_t column(std::int64_t moment) const;
  const std::vector<Phase>& phases() const { return phases_; }

 private:
  using Moments = std::vector<std::int64_t>;
  void share_columns(const std::vector<Moments>& moments, std::int64_t length, std::size_t width);
  void place(const Phase& phase, const Moments& moments, std::int64_t end);

  std::vector<Phase> phases_;
  std::map<std::int64_t, std::size_t> columns_;  // of the moments that were given
};

}  // namespace liveswap::cli
