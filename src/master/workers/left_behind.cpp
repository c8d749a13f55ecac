#include "master/workers/left_behind.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/unique_fd.hpp"
#include "master/workers/cgroups.hpp"

namespace liveswap::master {
namespace {

using Inodes = std::set<std::uint64_t>;

// How long one call may stop and check processes.
constexpr std::chrono::milliseconds budget{20};
constexpr std::chrono::milliseconds until_stopped{10};
// So often a process is stopped and checked before it is killed with a connection. On a busy machine there
// are few tries within the grace.
constexpr unsigned tries_least = 10;
// After this many graces a process that SIGKILL does not end is given up.
constexpr int patience = 4;

// A pidfd of the process that was scanned, so signals never hit another one.
class Target {
 public:
  explicit Target(const LeftProcess& process)
      : pidfd_(UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)))) {
    if (pidfd_ && !sockets_of(process)) pidfd_.reset();
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  // Continues a stopped process, however the caller returns.
  ~Target() {
    if (is_stopped_) send(SIGCONT);
  }
  explicit operator bool() const { return static_cast<bool>(pidfd_); }
  bool send(int number) const {
    return ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) == 0;
  }

  // A process stops when the system call returns. False: not within `until_stopped`.
  bool stop(const LeftProcess& process) {
    using Clock = std::chrono::steady_clock;
    is_stopped_ = send(SIGSTOP);
    const auto end = Clock::now() + until_stopped;
    while (is_stopped_ && !is_stopped(process)) {
      if (Clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return is_stopped_;
  }

 private:
  UniqueFd pidfd_;
  bool is_stopped_ = false;
};

void send_signal(const LeftProcess& process, int number) {
  if (const Target target(process); target) target.send(number);
}

// `own`: listening sockets that are not the master's.
std::vector<Holder> holders_among(const std::vector<LeftProcess>& processes, const ListeningSockets& sockets,
                                  const ListeningSockets& own) {
  std::vector<Holder> found;
  for (const auto& process : processes) {
    Holder holder{process, {}, {}, true, !process.executed};
    for (const auto& [inode, name] : sockets)
      if (process.sockets.contains(inode)) holder.listeners.insert(name);
    for (const auto& one : own)
      if (process.sockets.contains(one.first) && !sockets.contains(one.first)) holder.own.insert(one);
    for (const auto& [inode, name] : holder.own) holder.listeners.insert(name);
    if (!holder.listeners.empty()) found.push_back(std::move(holder));
  }
  return found;
}

std::vector<Holder> all_holders(const Left& left, const ListeningSockets& sockets) {
  auto holders = holders_among(left.processes, sockets, left.listening);
  for (auto& holder : holders_among(left.orphans, sockets, {})) {
    holder.is_known = holder.must_end = false;
    holders.push_back(std::move(holder));
  }
  return holders;
}

bool have_common(const Inodes& one, const Inodes& other) {
  return std::any_of(one.begin(), one.end(), [&](auto inode) { return other.contains(inode); });
}

bool is_any_known(const std::vector<Holder>& holders, const std::set<pid_t>& known) {
  return std::any_of(holders.begin(), holders.end(),
                     [&](const auto& one) { return one.must_end && known.contains(one.process.pid); });
}

// If all of them run the worker's program. Another program may be meant to outlive the worker.
bool may_kill_all(const std::vector<LeftProcess>& processes) {
  return !processes.empty() &&
         std::none_of(processes.begin(), processes.end(), [](const auto& one) { return one.executed; });
}

enum class Tried { continued, killed, holds_none };

// Kills the process if `is_late` or without a connection. holds_none: the process holds no listener any more.
Tried try_to_end(const Holder& holder, const Traces& traces, const ListeningSockets& sockets, bool is_late) {
  const auto& process = holder.process;
  Target target(process);
  if (!target) return Tried::holds_none;
  const bool is_stopped = target.stop(process);
  if (!is_stopped && !is_late) return Tried::continued;
  // Since the scan the process may have closed the listener or executed another program.
  if (program_of(process.pid) != traces.program || !holds_any(process, sockets, holder.own))
    return Tried::holds_none;
  if (!is_late && may_have_connection(process, traces.places)) return Tried::continued;
  target.send(SIGKILL);
  return Tried::killed;
}

}  // namespace

bool holds_any(const LeftProcess& process, const ListeningSockets& sockets, const ListeningSockets& own) {
  const auto open = sockets_of(process);
  return open && std::any_of(open->begin(), open->end(),
                             [&](auto inode) { return sockets.contains(inode) || own.contains(inode); });
}

// Tries to end as many of `ending` as fit into the budget; the next call goes on with the others.
void LeftBehind::end_some(Worker& worker, const Traces& traces, const ListeningSockets& sockets,
                          Milliseconds now, Milliseconds grace) {
  const auto end = std::chrono::steady_clock::now() + budget;
  for (std::size_t count = worker.ending.size(); count > 0 && std::chrono::steady_clock::now() < end;
       --count) {
    auto next = worker.ending.upper_bound(worker.last);
    if (next == worker.ending.end()) next = worker.ending.begin();
    worker.last = next->first;
    const bool is_late = ++next->second.tries > tries_least && now - next->second.since >= grace;
    const auto tried = try_to_end(next->second.holder, traces, sockets, is_late);
    if (tried == Tried::holds_none) worker.ending.erase(next);
    else next->second.is_killed = tried == Tried::killed;
  }
}

std::optional<LeftBehind::State> LeftBehind::step(pid_t id, const Traces& traces,
                                                  const ListeningSockets& sockets, Milliseconds now,
                                                  Milliseconds grace) {
  Worker& worker = workers_[id];
  end_some(worker, traces, sockets, now, grace);
  auto left = scans_.at(id, traces, now);
  if (!left) return std::nullopt;
  if (!worker.awaited) worker.awaited = left->connections;
  State state;
  state.open = left->unreadable + static_cast<std::size_t>(std::count_if(
                                      worker.awaited->begin(), worker.awaited->end(),
                                      [&](auto inode) { return left->connections.contains(inode); }));
  auto holders = all_holders(*left, sockets);
  // Processes may fork new ones faster than two scans find the same. Those that are found twice are ended one
  // by one.
  const bool kill_them_all = worker.end_began && now - *worker.end_began >= grace && !traces.cgroup.empty() &&
                             may_kill_all(left->processes) && !is_any_known(holders, worker.suspects);
  bool some_end = false;
  if (state.open == 0) {
    for (auto& holder : holders) {
      if (holder.must_end) {
        some_end = true;
        // Seen twice: at the first scan the process may have been about to exec.
        if (!worker.suspects.insert(holder.process.pid).second)
          worker.ending.try_emplace(holder.process.pid, Ending{holder, now});
        else if (!kill_them_all) continue;
      }
      if (worker.named.insert(holder.process.pid).second) state.holders.push_back(std::move(holder));
    }
  }
  worker.seen = std::move(left->processes);
  if (some_end && !worker.end_began) worker.end_began = now;
  if (some_end && kill_them_all) kill_all(traces.cgroup);
  // A process that survives SIGKILL hangs in the kernel, or belongs to another user.
  const bool given_up = worker.end_began && now - *worker.end_began >= patience * grace &&
                        std::all_of(worker.ending.begin(), worker.ending.end(),
                                    [](const auto& one) { return one.second.is_killed; });
  state.is_over = state.open == 0 && (!some_end || given_up);
  return state;
}

std::vector<Holder> LeftBehind::end_now(pid_t id, const Traces& traces, const ListeningSockets& sockets,
                                        bool others) {
  const auto left = scans_.now(id, traces);
  auto holders = all_holders(left, sockets);
  if (may_kill_all(left.processes)) kill_all(traces.cgroup);
  for (const auto& holder : holders)
    if (holder.must_end) send_signal(holder.process, SIGKILL);
  for (const auto& process : left.processes)
    if (others && !process.executed) send_signal(process, SIGKILL);
  return holders;
}

void LeftBehind::signal(pid_t id, const Traces& traces, int number) const {
  const auto it = workers_.find(id);
  if (it == workers_.end() || !it->second.awaited) return;
  if (number == SIGKILL && may_kill_all(it->second.seen)) kill_all(traces.cgroup);
  for (const auto& process : it->second.seen)
    if (have_common(process.sockets, *it->second.awaited)) send_signal(process, number);
}

void LeftBehind::forget(pid_t id) {
  scans_.forget(id);
  workers_.erase(id);
}

}  // namespace liveswap::master
