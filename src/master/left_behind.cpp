#include "master/left_behind.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/unique_fd.hpp"

namespace liveswap::master {
namespace {

using Inodes = std::set<std::uint64_t>;

// By pidfd, and only when that is the process that was looked at: never hits another one. False: it has gone.
bool send_signal(const LeftProcess& process, int number) {
  const auto pidfd = UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!pidfd || !sockets_of(process)) return false;
  return ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0) == 0;
}

std::vector<Holder> holders_among(const std::vector<LeftProcess>& processes, const ListeningSockets& sockets) {
  std::vector<Holder> found;
  for (const auto& process : processes) {
    Holder holder{process, {}, true, !process.executed};
    for (const auto& [inode, name] : sockets)
      if (process.sockets.contains(inode)) holder.listeners.insert(name);
    if (!holder.listeners.empty()) found.push_back(std::move(holder));
  }
  return found;
}

std::vector<Holder> all_holders(const Left& left, const ListeningSockets& sockets) {
  auto holders = holders_among(left.processes, sockets);
  for (auto& holder : holders_among(left.orphans, sockets)) {
    holder.is_known = holder.is_ended = false;
    holders.push_back(std::move(holder));
  }
  return holders;
}

bool have_common(const Inodes& one, const Inodes& other) {
  return std::any_of(one.begin(), one.end(), [&](auto inode) { return other.contains(inode); });
}

// It stops on its way back from the system call that it is in. False: it has not come there in this time.
bool stop(const LeftProcess& process) {
  using namespace std::chrono_literals;
  if (!send_signal(process, SIGSTOP)) return false;
  const auto end = std::chrono::steady_clock::now() + 10ms;
  while (!is_stopped(process)) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(100us);
  }
  return true;
}

// Kills it between two connections, if this is such a moment. A look at one process alone is quick.
void try_to_end(const LeftProcess& process, const ListeningPlaces& places) {
  const bool idle = stop(process) && !has_connection(process, places);
  send_signal(process, idle ? SIGKILL : SIGCONT);
}

}  // namespace

std::optional<LeftBehind::State> LeftBehind::step(pid_t id, const Traces& traces, const ListeningSockets& sockets,
                                                  Milliseconds now, Milliseconds grace) {
  Worker& worker = workers_[id];
  for (const auto& [pid, ending] : worker.ending) {
    if (now - ending.since < grace)
      try_to_end(ending.process, traces.places);
    else
      send_signal(ending.process, SIGKILL);
  }
  auto left = looks_.at(id, traces, now);
  if (!left) return std::nullopt;
  if (!worker.awaited) worker.awaited = left->connections;
  State state;
  state.open = left->unreadable + static_cast<std::size_t>(std::count_if(
      worker.awaited->begin(), worker.awaited->end(), [&](auto inode) { return left->connections.contains(inode); }));
  bool some_end = false;
  if (state.open == 0) {
    for (auto& holder : all_holders(*left, sockets)) {
      if (holder.is_ended) {
        some_end = true;
        if (worker.ending.try_emplace(holder.process.pid, Ending{holder.process, now}).second)
          try_to_end(holder.process, traces.places);
      }
      if (worker.named.insert(holder.process.pid).second) state.holders.push_back(std::move(holder));
    }
  }
  worker.seen = std::move(left->processes);
  state.is_over = state.open == 0 && !some_end;
  return state;
}

std::vector<Holder> LeftBehind::end_now(pid_t id, const Traces& traces, const ListeningSockets& sockets) {
  auto holders = all_holders(looks_.now(id, traces), sockets);
  for (const auto& holder : holders)
    if (holder.is_ended) send_signal(holder.process, SIGKILL);
  return holders;
}

void LeftBehind::signal(pid_t id, int number) const {
  const auto it = workers_.find(id);
  if (it == workers_.end() || !it->second.awaited) return;
  for (const auto& process : it->second.seen)
    if (have_common(process.sockets, *it->second.awaited)) send_signal(process, number);
}

void LeftBehind::forget(pid_t id) {
  looks_.forget(id);
  workers_.erase(id);
}

}  // namespace liveswap::master
