#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace liveswap::cli {

// Maps moments to columns of a timeline.
//
// The moments of an upgrade are milliseconds apart in one phase and minutes apart in another. On a linear
// scale, everything but the longest phase would share a column. So each phase has its own scale. Within a
// phase, each moment gets a column of its own if there are enough; the remaining columns are distributed by
// length. A later moment is never left of an earlier one.
class TimeScale {
 public:
  struct Phase {
    std::string name;
    std::int64_t at = 0;      // milliseconds
    std::size_t column = 0;   // first column; result
    std::size_t columns = 0;  // result
  };

  // `phases`: in order, each until the next, the last until `length`. `moments`: in any order. `width`: at
  // least 1 column. If there are too many phases for the width, they become one without a name.
  TimeScale(std::vector<Phase> phases, const std::vector<std::int64_t>& moments, std::int64_t length,
            std::size_t width);

  std::size_t column(std::int64_t moment) const;
  const std::vector<Phase>& phases() const { return phases_; }

 private:
  using Moments = std::vector<std::int64_t>;
  void share_columns(const std::vector<Moments>& moments, std::int64_t length, std::size_t width);
  void place(const Phase& phase, const Moments& moments, std::int64_t end);

  std::vector<Phase> phases_;
  std::map<std::int64_t, std::size_t> columns_;  // of the given moments
};

}  // namespace liveswap::cli
