#include "check/processes.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace liveswap::checks {
namespace {

namespace fs = std::filesystem;

struct Stat {
  std::string name;
  pid_t group = -1;
};

// "pid (name) state parent group …"; the name may contain parentheses and spaces.
Stat stat_of(const fs::path& process) {
  constexpr std::size_t longest = 4096;  // numbers, and a name of 64 bytes
  std::ifstream file(process / "stat");
  std::string text(longest, '\0');
  // read() reports the error of a process that exits meanwhile; a stream iterator would throw.
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  std::istringstream rest(text.substr(close + 1));
  std::string state;
  pid_t parent = 0;
  Stat stat{text.substr(open + 1, close - open - 1), -1};
  rest >> state >> parent >> stat.group;
  // A zombie does not count as left behind.
  if (state == "Z") stat.group = -1;
  return stat;
}

bool has_open(const fs::path& process, const std::string& pipe) {
  std::error_code failed;
  fs::directory_iterator entries(process / "fd", failed);
  if (failed) return false;
  return std::any_of(begin(entries), end(entries), [&](const fs::directory_entry& entry) {
    std::error_code gone;
    return fs::read_symlink(entry, gone) == pipe;
  });
}

}  // namespace

std::vector<LeftProcess> find_left(pid_t group, pid_t leader, const std::string& pipe) {
  std::vector<LeftProcess> left;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator("/proc", failed)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc{} || end != name.data() + name.size() || pid == leader || pid == ::getpid())
      continue;
    const Stat stat = stat_of(entry.path());
    const bool in_group = stat.group == group;
    if (in_group || has_open(entry.path(), pipe)) left.push_back({pid, stat.name, in_group, in_group});
  }
  return left;
}

}  // namespace liveswap::checks
