#pragma once

#include <string_view>

#include "base/line_limit.hpp"
#include "base/log.hpp"

namespace liveswap::master {

// What one process says by liveswap_log, as lines of the master's log: so many in a period, and how many more
// there were.
class ProcessLog {
 public:
  ProcessLog(unsigned lines, LineLimit::Time period) : limit_(lines, period) {}

  // `who`: "slot 0 pid 4711", stands before the text. `now`: as for LineLimit.
  void write(log::Level level, std::string_view who, std::string_view text, LineLimit::Time now) {
    tell(who, limit_.collect(now));
    if (limit_.take(now)) log::write(level, fmt::format("{}: {}", who, text));
  }
  // There will be no more lines.
  void end(std::string_view who) { tell(who, limit_.collect()); }

 private:
  static void tell(std::string_view who, std::uint64_t count) {
    if (count > 0)
      log::warning("{}: {} more line{} of its log left out", who, count, count == 1 ? " was" : "s were");
  }

  LineLimit limit_;
};

}  // namespace liveswap::master
