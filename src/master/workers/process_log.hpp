#pragma once

#include <string_view>

#include "base/line_limit.hpp"
#include "base/log.hpp"

namespace liveswap::master {

// Writes the liveswap_log lines of one process to the master's log. Beyond `lines` in a period they are
// only counted.
class ProcessLog {
 public:
  ProcessLog(unsigned lines, LineLimit::Time period) : limit_(lines, period) {}

  // `prefix`: such as "slot 0 pid 4711". `now`: as in LineLimit.
  void write(log::Level level, std::string_view prefix, std::string_view text, LineLimit::Time now) {
    tell(prefix, limit_.collect(now));
    if (limit_.take(now)) log::write(level, fmt::format("{}: {}", prefix, text));
  }
  // Call at the end of the process: logs the count of lines left out.
  void end(std::string_view prefix) { tell(prefix, limit_.collect()); }

 private:
  static void tell(std::string_view prefix, std::uint64_t count) {
    if (count > 0)
      log::warning("{}: {} more line{} of its log left out", prefix, count, count == 1 ? " was" : "s were");
  }

  LineLimit limit_;
};

}  // namespace liveswap::master
