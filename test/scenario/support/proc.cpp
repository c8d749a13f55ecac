#include "support/proc.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "support/file.hpp"

namespace scenario::proc {
namespace {

namespace fs = std::filesystem;

std::string path_of(pid_t pid, const std::string& name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

std::vector<std::string> split_at_nul(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, '\0');) parts.push_back(part);
  return parts;
}

std::string link_target(const fs::path& path) {
  std::error_code gone;
  return fs::read_symlink(path, gone).string();
}

}  // namespace

// If the main thread ends before other threads, the process's state is already "zombie" while the process
// still has its sockets.
bool runs(pid_t pid) {
  bool zombie = true;
  long threads = 0;
  for (const auto& line : lines_of(read_file(path_of(pid, "status")))) {
    if (line.starts_with("State:")) zombie = line.find('Z') != std::string::npos;
    if (line.starts_with("Threads:")) threads = std::stol(line.substr(8));
  }
  return !zombie || threads > 1;
}

std::vector<pid_t> children(pid_t pid) {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t candidate = std::stoi(name);
    if (status_number(candidate, "PPid") == pid) found.push_back(candidate);
  }
  return found;
}

bool has_running_child(pid_t pid) {
  const auto all = children(pid);
  return std::any_of(all.begin(), all.end(), runs);
}

std::vector<pid_t> descendants(pid_t pid) {
  auto found = children(pid);
  for (std::size_t i = 0; i < found.size(); ++i)
    for (const pid_t child : children(found[i])) found.push_back(child);
  return found;
}

long status_number(pid_t pid, const std::string& name) {
  for (const auto& line : lines_of(read_file(path_of(pid, "status"))))
    if (line.starts_with(name + ":")) return std::stol(line.substr(name.size() + 1));
  return -1;
}

std::map<int, std::string> descriptors(pid_t pid) {
  std::map<int, std::string> found;
  for (const auto& entry : fs::directory_iterator(path_of(pid, "fd")))
    found[std::stoi(entry.path().filename().string())] = link_target(entry.path());
  return found;
}

std::vector<std::string> environment(pid_t pid) { return split_at_nul(read_file(path_of(pid, "environ"))); }

std::vector<std::string> arguments(pid_t pid) { return split_at_nul(read_file(path_of(pid, "cmdline"))); }

std::string working_directory(pid_t pid) { return link_target(path_of(pid, "cwd")); }

std::size_t threads(pid_t pid) {
  const fs::directory_iterator tasks(path_of(pid, "task"));
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace scenario::proc
