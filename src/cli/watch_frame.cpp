#include "cli/watch_frame.hpp"

#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "cli/duration_text.hpp"
#include "cli/printable.hpp"

namespace liveswap::cli {
namespace {

constexpr const char* home = "\x1b[H";
constexpr const char* end_of_line = "\x1b[K";
constexpr const char* erase_below = "\x1b[J";

}  // namespace

std::string MasterWatch::answered(std::int64_t process, Time now) {
  if (gone_since_ || (process_ && *process_ != process)) {
    away_ = gone_since_ ? now - *gone_since_ : Time{0};
    back_since_ = now;
  }
  gone_since_.reset();
  process_ = process;
  if (!back_since_) return "";
  const std::string away = away_.count() > 0 ? ", it was away for " + duration_text(away_) : "";
  return fmt::format("a master came back {} ago (pid {}){}", duration_text(now - *back_since_), process,
                     away);
}

std::string MasterWatch::unreachable(const std::string& why, Time now) {
  if (!gone_since_) gone_since_ = now;
  return fmt::format("the master has been away for {}, waiting for it: {}", duration_text(now - *gone_since_),
                     why);
}

std::string frame(const std::string& text, const Screen& screen) {
  std::vector<std::string> lines;
  std::istringstream input(text);
  for (std::string line; std::getline(input, line);) lines.push_back(cut(line, screen.width));
  const std::size_t height = screen.height > 0 ? screen.height : 1;
  if (lines.size() > height) {
    const std::size_t left_out = lines.size() - (height - 1);
    lines.resize(height - 1);
    lines.push_back(cut(fmt::format("... {} more lines", left_out), screen.width));
  }
  std::string bytes = home;
  for (std::size_t i = 0; i < lines.size(); ++i) bytes += (i > 0 ? "\r\n" : "") + lines[i] + end_of_line;
  return bytes + erase_below;
}

}  // namespace liveswap::cli
