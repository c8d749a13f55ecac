#include "verify/proc.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <memory>
#include <sstream>

#include "verify/connections.hpp"

namespace liveswap::verify {
namespace {

// Fields of /proc/PID/stat after the name, which is in parentheses and may contain any character.
std::string stat_after_name(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  const auto end = line.rfind(')');
  return end == std::string::npos ? "" : line.substr(end + 1);
}

pid_t parent_of(pid_t pid) {
  std::istringstream fields(stat_after_name(pid));
  char state = 0;
  pid_t parent = -1;
  fields >> state >> parent;
  return parent;
}

std::vector<std::string> entries(const std::string& directory, int* error) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory.c_str()), ::closedir);
  if (error) *error = open ? 0 : errno;
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr)
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  return names;
}

Result<std::set<std::uint64_t>> sockets_of(pid_t pid) {
  std::set<std::uint64_t> inodes;
  const std::string directory = fmt::format("/proc/{}/fd", pid);
  int error = 0;
  for (const auto& name : entries(directory, &error)) {
    char link[64] = "";
    const ssize_t size = ::readlink((directory + "/" + name).c_str(), link, sizeof link - 1);
    std::uint64_t inode = 0;
    const std::string_view text(link, size > 0 ? static_cast<std::size_t>(size) : 0);
    if (text.substr(0, 8) != "socket:[") continue;
    std::from_chars(text.data() + 8, text.data() + text.size(), inode);
    inodes.insert(inode);
  }
  if (error != 0 && error != ENOENT) return os_fail("read", directory, error);
  return inodes;
}

}  // namespace

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  for (const auto& name : entries("/proc", nullptr)) {
    pid_t one = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), one);
    if (failed == std::errc{} && end == name.data() + name.size() && parent_of(one) == pid)
      children.push_back(one);
  }
  return children;
}

char state_of(pid_t pid) {
  std::istringstream fields(stat_after_name(pid));
  char state = 0;
  fields >> state;
  return state;
}

std::string name_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(file, name);
  return name;
}

Result<std::set<std::uint16_t>> clients_of(pid_t pid, std::uint16_t port) {
  const auto inodes = sockets_of(pid);
  if (!inodes) return tl::unexpected<Error>(inodes.error());
  std::set<std::uint16_t> clients;
  for (const ServerSide& side : connections_to(port))
    if (inodes->contains(side.inode)) clients.insert(side.client);
  return clients;
}

}  // namespace liveswap::verify
