#include "master/workers/left_processes.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/text.hpp"
#include "master/uv/reaper.hpp"
#include "master/workers/cgroups.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {
namespace {

namespace fs = std::filesystem;

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
  explicit Search(const std::map<pid_t, Traces>& workers) : workers_(workers), all_(all_processes()) {
    for (const auto& [worker, traces] : workers)
      for (const pid_t pid : members_of(traces.cgroup)) add_member(pid, worker);
  }

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

  // The process may have begun after /proc was read.
  void add_member(pid_t pid, pid_t worker) {
    members_[pid] = worker;
    if (all_.contains(pid)) return;
    if (const auto found = process_at(pid)) all_[pid] = *found;
  }

  // The ended worker that has left this process, by cgroup, process group, session, descriptors or parent. 0:
  // none; unknown_worker: an orphan that cannot be assigned.
  pid_t worker_of(pid_t pid, int depth) {
    constexpr int deepest = 64;
    const auto it = all_.find(pid);
    if (it == all_.end() || depth == deepest || pid == ::getpid() || workers_.contains(pid)) return 0;
    if (const auto known = known_.find(pid); known != known_.end()) return known->second;
    if (const auto member = members_.find(pid); member != members_.end()) return member->second;
    const Process& process = it->second;
    pid_t worker = is_ended(process.group) ? process.group : is_ended(process.session) ? process.session : 0;
    if (worker == 0 && process.parent == ::getpid() && adopts_)
      worker = spawn::is_claimed(pid) ? 0 : forked_by(pid);
    if (worker == 0) worker = worker_of(process.parent, depth + 1);
    return known_[pid] = worker;
  }

  // Of a killed master's worker another process has reaped the pid: a new process has that number only if the
  // worker has left none in its group and session.
  bool is_ended(pid_t worker) const { return workers_.contains(worker) && !all_.contains(worker); }

  pid_t forked_by(pid_t pid) const {
    pid_t worker = unknown_worker;
    each_descriptor(pid, [&](std::string_view what) {
      const pid_t found = process_in(what);
      if (workers_.contains(found)) worker = found;
      // An orphan of a living worker.
      else if (spawn::is_claimed(found) && worker == unknown_worker) worker = 0;
    });
    return worker == unknown_worker && is_in_cgroup_of_worker(pid) ? 0 : worker;
  }

  static void add(pid_t pid, const Process& process, Program program, Left& left) {
    LeftProcess found{pid, process.started, {}, true, {}};
    std::error_code failed;
    found.program = fs::read_symlink(place_of(pid) / "exe", failed).filename();
    // An exiting process has no program any more. It may have begun to exit since the stat was read.
    if (const auto runs = program_of(pid); runs != Program()) found.executed = runs != program;
    else if (const auto now = process_at(pid); process.is_exiting || !now || now->is_exiting)
      found.executed = false;
    if (!add_sockets(pid, found.sockets)) ++left.unreadable;
    left.processes.push_back(std::move(found));
  }

  const std::map<pid_t, Traces>& workers_;
  Processes all_;
  bool adopts_ = adopts_orphans();
  std::map<pid_t, pid_t> members_;  // of cgroups: process → worker
  std::map<pid_t, pid_t> known_;
};

// The cgroups with a process that was not looked at: processes may fork and exit faster than they are looked
// at one after the other. One that has ended since it was listed may have forked. A zombie has nothing open.
std::vector<std::string> unsearched(const std::map<pid_t, Traces>& workers,
                                    const std::map<pid_t, Left>& found) {
  std::vector<std::string> cgroups;
  for (const auto& [worker, traces] : workers) {
    std::set<pid_t> seen;
    for (const auto& process : found.at(worker).processes) seen.insert(process.pid);
    const auto members = members_of(traces.cgroup);
    if (std::any_of(members.begin(), members.end(), [&](pid_t pid) {
          return !seen.contains(pid) && (process_at(pid) || ::access(place_of(pid).c_str(), F_OK) != 0);
        }))
      cgroups.push_back(traces.cgroup);
  }
  return cgroups;
}

// Calls `tell` with each line. Reads the processes' own network tables: they may live in another network
// namespace. The table of an ended process is empty; then the next one's is read. A table begins with a
// heading. False: the table cannot be read now.
template <class Tell>
bool each_line(const Left& left, const char* kind, const Tell& tell) {
  for (const auto& process : left.processes) {
    std::ifstream lines(place_of(process.pid) / "net" / kind);
    if (!lines.is_open() && errno != ENOENT && errno != ESRCH) return false;
    std::string line;
    if (!std::getline(lines, line)) continue;
    while (std::getline(lines, line)) tell(line);
    return true;
  }
  return true;
}

// False: the kernel's tables cannot be read now.
bool find_connections(Left& left, const ListeningPlaces& places) {
  std::set<std::uint64_t> sockets;
  for (const auto& process : left.processes) sockets.insert(process.sockets.begin(), process.sockets.end());
  if (sockets.empty()) return true;
  const auto add = [&](std::uint64_t inode) {
    if (inode != 0 && sockets.contains(inode)) left.connections.insert(inode);
  };
  const auto add_tcp = [&](std::string_view line) {
    add(inode_in_tcp_line(line, places));
    const auto [inode, port] = listening_in_tcp_line(line, places);
    if (inode != 0 && sockets.contains(inode)) left.listening[inode] = "port " + std::to_string(port);
  };
  for (const char* family : {"tcp", "tcp6"})
    if (!each_line(left, family, add_tcp)) return false;
  return each_line(left, "unix", [&](std::string_view line) { add(inode_in_unix_line(line, places)); });
}

}  // namespace

Program program_of(pid_t pid) {
  struct stat info {};
  if (::stat((place_of(pid) / "exe").c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino};
}

std::optional<std::map<pid_t, Left>> left_by(const std::map<pid_t, Traces>& workers) {
  auto found = Search(workers).found();
  if (!found) return std::nullopt;
  const Frozen frozen(unsearched(workers, *found));
  if (frozen.any()) found = Search(workers).found();
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
