#include "master/workers/left_processes.hpp"

#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/text.hpp"
#include "master/sockets/sockets.hpp"
#include "master/uv/reaper.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {
namespace {

namespace fs = std::filesystem;

// Values of the kernel's net/tcp_states.h and of <linux/net.h>.
enum { tcp_time_wait = 6, tcp_close = 7, tcp_listen = 10, ss_connected = 3 };

// The fields of /proc/PID/stat (proc(5)) are numbered from 1. The session is field 6, the flags are field 9
// and the start time is field 22: how many fields lie between them, plus one.
constexpr int flags_after_session = 3;
constexpr int start_after_flags = 13;

struct Process {
  char state = 0;
  pid_t parent = 0, group = 0, session = 0;
  bool is_exiting = false;
  std::uint64_t started = 0;
};

// PF_EXITING in the flags of /proc/<pid>/stat (proc(5), include/linux/sched.h of the kernel): the process
// executes no more code, but its descriptors may still be open, and its program can no longer be read.
constexpr unsigned exiting_flag = 0x4;

fs::path place_of(pid_t pid) { return fs::path("/proc") / std::to_string(pid); }

// Parses "12 (name) S parent group session …"; the name may contain parentheses and spaces. nullopt for a
// zombie, which has nothing open.
std::optional<Process> process_at(pid_t pid) {
  std::ifstream file(place_of(pid) / "stat");
  std::string text;
  if (!std::getline(file, text) || text.rfind(')') == std::string::npos) return std::nullopt;
  std::istringstream rest(text.substr(text.rfind(')') + 1));
  Process found;
  rest >> found.state >> found.parent >> found.group >> found.session;
  std::string skipped;
  unsigned flags = 0;
  for (int i = 1; i < flags_after_session; ++i) rest >> skipped;
  rest >> flags;
  found.is_exiting = (flags & exiting_flag) != 0;
  for (int i = 1; i < start_after_flags; ++i) rest >> skipped;
  if (!(rest >> found.started) || found.state == 'Z' || found.state == 'X') return std::nullopt;
  return found;
}

using Processes = std::map<pid_t, Process>;

Processes all_processes() {
  Processes all;
  std::error_code failed;
  for (fs::directory_iterator entry("/proc", failed), end; !failed && entry != end; entry.increment(failed)) {
    const auto pid = number_in<pid_t>(entry->path().filename().string());
    if (const auto found = pid ? process_at(*pid) : std::nullopt) all[*pid] = *found;
  }
  return all;
}

// Calls `tell` with the target of each descriptor. False: the process lives, but the descriptors may not be
// read.
template <class Tell>
bool each_descriptor(pid_t pid, const Tell& tell) {
  std::error_code failed;
  fs::directory_iterator entry(place_of(pid) / "fd", failed), end;
  if (failed) return failed == std::errc::no_such_file_or_directory || failed == std::errc::no_such_process;
  for (; !failed && entry != end; entry.increment(failed)) {
    std::error_code gone;
    const std::string what = fs::read_symlink(entry->path(), gone);
    if (!gone) tell(what);
  }
  return true;
}

bool add_sockets(pid_t pid, std::set<std::uint64_t>& inodes) {
  return each_descriptor(pid, [&](std::string_view what) {
    std::uint64_t inode = 0;
    constexpr std::string_view kind = "socket:[";
    if (what.starts_with(kind)) std::from_chars(what.data() + kind.size(), what.data() + what.size(), inode);
    if (inode != 0) inodes.insert(inode);
  });
}

// The number in "/proc/12"; 0: another path, or a reaped process ("/proc/12 (deleted)").
pid_t process_in(std::string_view path) {
  constexpr std::string_view directory = "/proc/";
  return path.starts_with(directory) ? number_in<pid_t>(path.substr(directory.size())).value_or(0) : 0;
}

// Assigns processes to ended workers. Reads only the descriptors of processes that may come from one.
class Search {
 public:
  explicit Search(const std::map<pid_t, Traces>& workers) : workers_(workers), all_(all_processes()) {}

  // nullopt: /proc cannot be read now.
  std::optional<std::map<pid_t, Left>> found() {
    if (!all_.contains(::getpid())) return std::nullopt;
    std::map<pid_t, Left> left;
    Left unknown;
    for (const auto& [worker, traces] : workers_) left[worker];
    for (const auto& [pid, process] : all_) {
      const pid_t worker = worker_of(pid, 0);
      if (worker == unknown_worker) add(pid, process, {}, unknown);
      else if (worker != 0) add(pid, process, workers_.at(worker).program, left.at(worker));
    }
    for (auto& [worker, one] : left) one.orphans = unknown.processes;
    return left;
  }

 private:
  static constexpr pid_t unknown_worker = -1;

  // The ended worker that has left this process, by process group, session, descriptors or parent. 0: none;
  // unknown_worker: an orphan that cannot be assigned.
  pid_t worker_of(pid_t pid, int depth) {
    constexpr int deepest = 64;
    const auto it = all_.find(pid);
    if (it == all_.end() || depth == deepest || pid == ::getpid() || workers_.contains(pid)) return 0;
    if (const auto known = known_.find(pid); known != known_.end()) return known->second;
    const Process& process = it->second;
    pid_t worker = workers_.contains(process.group)     ? process.group
                   : workers_.contains(process.session) ? process.session
                                                        : 0;
    if (worker == 0 && process.parent == ::getpid() && adopts_)
      worker = spawn::is_claimed(pid) ? 0 : forked_by(pid);
    if (worker == 0) worker = worker_of(process.parent, depth + 1);
    return known_[pid] = worker;
  }

  pid_t forked_by(pid_t pid) const {
    pid_t worker = unknown_worker;
    each_descriptor(pid, [&](std::string_view what) {
      const pid_t found = process_in(what);
      if (workers_.contains(found)) worker = found;
      // An orphan of a living worker.
      else if (spawn::is_claimed(found) && worker == unknown_worker) worker = 0;
    });
    return worker;
  }

  static void add(pid_t pid, const Process& process, Program program, Left& left) {
    LeftProcess found{pid, process.started, {}, true, {}};
    std::error_code failed;
    found.program = fs::read_symlink(place_of(pid) / "exe", failed).filename();
    if (const auto runs = program_of(pid); runs != Program()) found.executed = runs != program;
    else if (process.is_exiting) found.executed = false;
    if (!add_sockets(pid, found.sockets)) ++left.unreadable;
    left.processes.push_back(std::move(found));
  }

  const std::map<pid_t, Traces>& workers_;
  Processes all_;
  bool adopts_ = adopts_orphans();
  std::map<pid_t, pid_t> known_;
};

using InLine = std::uint64_t (*)(std::string_view, const ListeningPlaces&);

// Reads the processes' own network tables: they may live in another network namespace. The table of an
// ended process is empty; then the next one's is read. A table begins with a heading.
bool add_connections(Left& left, const char* kind, InLine inode_in, const std::set<std::uint64_t>& sockets,
                     const ListeningPlaces& places) {
  for (const auto& process : left.processes) {
    std::ifstream lines(place_of(process.pid) / "net" / kind);
    if (!lines.is_open() && errno != ENOENT && errno != ESRCH) return false;
    std::string line;
    if (!std::getline(lines, line)) continue;
    while (std::getline(lines, line))
      if (const auto inode = inode_in(line, places); inode != 0 && sockets.contains(inode))
        left.connections.insert(inode);
    return true;
  }
  return true;
}

// False: the kernel's tables cannot be read now.
bool find_connections(Left& left, const ListeningPlaces& places) {
  std::set<std::uint64_t> sockets;
  for (const auto& process : left.processes) sockets.insert(process.sockets.begin(), process.sockets.end());
  if (sockets.empty()) return true;
  for (const char* family : {"tcp", "tcp6"})
    if (!add_connections(left, family, inode_in_tcp_line, sockets, places)) return false;
  return add_connections(left, "unix", inode_in_unix_line, sockets, places);
}

}  // namespace

void ListeningPlaces::add(int fd) {
  const SocketAddress address = address_of(fd);
  if (address.storage.ss_family != AF_UNIX) {
    // Both families have the port at the same offset.
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
                  " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %llu", &port,
                  &state, &inode) != 3)
    return 0;
  const bool is_connection = state != tcp_time_wait && state != tcp_close && state != tcp_listen;
  return is_connection && places.ports.contains(static_cast<std::uint16_t>(port)) ? inode : 0;
}

// "0000000000000000: 00000003 00000000 00000000 0001 03 123456 /run/app.sock": a connection shows the
// listener's path.
std::uint64_t inode_in_unix_line(std::string_view line, const ListeningPlaces& places) {
  unsigned state = 0;
  unsigned long long inode = 0;
  int at = 0;
  const std::string text(line);
  if (std::sscanf(text.c_str(), "%*s %*x %*x %*x %*x %x %llu %n", &state, &inode, &at) != 2 || at == 0)
    return 0;
  return state == ss_connected && places.paths.contains(text.substr(static_cast<std::size_t>(at))) ? inode
                                                                                                   : 0;
}

Program program_of(pid_t pid) {
  struct stat info {};
  if (::stat((place_of(pid) / "exe").c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino};
}

std::optional<std::map<pid_t, Left>> left_by(const std::map<pid_t, Traces>& workers) {
  auto found = Search(workers).found();
  if (!found) return std::nullopt;
  for (auto& [worker, left] : *found)
    if (!find_connections(left, workers.at(worker).places)) return std::nullopt;
  return found;
}

bool is_stopped(const LeftProcess& process) {
  const auto now = process_at(process.pid);
  return now && now->state == 'T';
}

bool may_have_connection(const LeftProcess& process, const ListeningPlaces& places) {
  Left left;
  left.processes.push_back(process);
  left.processes.back().sockets.clear();
  if (!add_sockets(process.pid, left.processes.back().sockets)) return true;
  return !find_connections(left, places) || !left.connections.empty();
}

std::optional<std::set<std::uint64_t>> sockets_of(const LeftProcess& process) {
  const auto now = process_at(process.pid);
  if (!now || now->started != process.started) return std::nullopt;
  std::set<std::uint64_t> sockets;
  // If they may not be read, assume those of the last scan.
  return add_sockets(process.pid, sockets) ? sockets : process.sockets;
}

}  // namespace liveswap::master
