#include "master/group_connections.hpp"

#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "master/sockets.hpp"

namespace liveswap::master {
namespace {

namespace fs = std::filesystem;

// net/tcp_states.h of the kernel, and SS_CONNECTED of <linux/net.h>.
enum { tcp_time_wait = 6, tcp_close = 7, tcp_listen = 10, ss_connected = 3 };

// "12 (name) S parent group …"; the name may have parentheses and spaces in it. 0: of a zombie, which has nothing open.
pid_t group_of(const fs::path& process) {
  std::ifstream file(process / "stat");
  std::string text;
  if (!std::getline(file, text) || text.rfind(')') == std::string::npos) return 0;
  std::istringstream rest(text.substr(text.rfind(')') + 1));
  char state = 0;
  pid_t parent = 0, found = 0;
  return rest >> state >> parent >> found && state != 'Z' && state != 'X' ? found : 0;
}

using Members = std::map<pid_t, std::vector<fs::path>>;

// By group, their leaders left out.
Members members_of(const std::map<pid_t, ListeningPlaces>& groups) {
  Members members;
  std::error_code failed;
  for (fs::directory_iterator entry("/proc", failed), end; !failed && entry != end; entry.increment(failed)) {
    const std::string name = entry->path().filename();
    pid_t pid = 0;
    const auto [last, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || last != name.data() + name.size() || groups.contains(pid)) continue;
    if (const pid_t group = group_of(entry->path()); groups.contains(group)) members[group].push_back(entry->path());
  }
  return members;
}

// False: they may not be read, and the process is not gone.
bool add_sockets(const fs::path& process, std::set<std::uint64_t>& inodes) {
  std::error_code failed;
  fs::directory_iterator entry(process / "fd", failed), end;
  if (failed) return failed == std::errc::no_such_file_or_directory || failed == std::errc::no_such_process;
  for (; !failed && entry != end; entry.increment(failed)) {
    std::error_code gone;
    const std::string what = fs::read_symlink(entry->path(), gone);
    std::uint64_t inode = 0;
    constexpr std::string_view kind = "socket:[";
    if (!gone && what.starts_with(kind)) std::from_chars(what.data() + kind.size(), what.data() + what.size(), inode);
    if (inode != 0) inodes.insert(inode);
  }
  return true;
}

using InLine = std::uint64_t (*)(std::string_view, const ListeningPlaces&);

// The network of the processes: it may be in another namespace than ours. One that has ended meanwhile shows none, and another
// is asked. What is there begins with a line of headings.
std::size_t count_in(const std::vector<fs::path>& members, const char* kind, InLine inode_in,
                     const std::set<std::uint64_t>& inodes, const ListeningPlaces& places) {
  for (const auto& member : members) {
    std::ifstream lines(member / "net" / kind);
    std::string line;
    if (!std::getline(lines, line)) continue;
    std::size_t count = 0;
    while (std::getline(lines, line)) count += inodes.contains(inode_in(line, places));
    return count;
  }
  return 0;
}

std::size_t connections_of(const std::vector<fs::path>& members, const ListeningPlaces& places) {
  std::set<std::uint64_t> inodes;
  std::size_t count = 0;
  for (const auto& member : members)
    if (!add_sockets(member, inodes)) ++count;
  if (inodes.empty()) return count;
  for (const char* family : {"tcp", "tcp6"}) count += count_in(members, family, inode_in_tcp_line, inodes, places);
  return count + count_in(members, "unix", inode_in_unix_line, inodes, places);
}

}  // namespace

void ListeningPlaces::add(int fd) {
  const SocketAddress address = address_of(fd);
  if (address.storage.ss_family != AF_UNIX) {
    // The port has the same place in both families.
    ports.insert(ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port));
    return;
  }
  constexpr std::size_t before = offsetof(sockaddr_un, sun_path);
  if (address.length <= before) return;
  const char* const path = reinterpret_cast<const sockaddr_un&>(address.storage).sun_path;
  const std::size_t size = address.length - before;
  paths.insert(*path ? std::string(path, ::strnlen(path, size)) : "@" + std::string(path + 1, size - 1));
}

// "  12: 0100007F:1F90 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000  1000  0 123456 …"
std::uint64_t inode_in_tcp_line(std::string_view line, const ListeningPlaces& places) {
  unsigned port = 0, state = 0;
  unsigned long long inode = 0;
  if (std::sscanf(std::string(line).c_str(),
                  " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %llu", &port, &state, &inode) != 3)
    return 0;
  const bool is_connection = state != tcp_time_wait && state != tcp_close && state != tcp_listen;
  return is_connection && places.ports.contains(static_cast<std::uint16_t>(port)) ? inode : 0;
}

// "0000000000000000: 00000003 00000000 00000000 0001 03 123456 /run/app.sock": a connection bears its listener's path.
std::uint64_t inode_in_unix_line(std::string_view line, const ListeningPlaces& places) {
  unsigned state = 0;
  unsigned long long inode = 0;
  int at = 0;
  const std::string text(line);
  if (std::sscanf(text.c_str(), "%*s %*x %*x %*x %*x %x %llu %n", &state, &inode, &at) != 2 || at == 0) return 0;
  return state == ss_connected && places.paths.contains(text.substr(static_cast<std::size_t>(at))) ? inode : 0;
}

std::map<pid_t, std::size_t> connections_of_groups(const std::map<pid_t, ListeningPlaces>& groups) {
  const Members members = members_of(groups);
  std::map<pid_t, std::size_t> counts;
  for (const auto& [group, places] : groups) {
    const auto found = members.find(group);
    counts[group] = found == members.end() ? 0 : connections_of(found->second, places);
  }
  return counts;
}

}  // namespace liveswap::master
