#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "master/uv/reaper.hpp"
#include "master/workers/worker_pool.hpp"

// Workers that have ended while processes which they started live on.
namespace liveswap::master {
namespace {

// The largest number of left processes in a report.
constexpr std::size_t remaining_limit = 64;

}  // namespace

// Cheap, unlike a search in /proc.
bool WorkerPool::may_have_left(const Entry& entry) {
  return entry.forked || has_orphans() || is_populated(entry.traces.cgroup);
}

// The main process of a server that forks for each connection may exit while children still serve
// connections. The master waits for these connections until the worker's drain limit and then signals the
// children.
bool WorkerPool::is_outlived(rollout::WorkerId id) {
  Entry& entry = entries_.at(id);
  const bool is_known = left_behind_.knows(entry.pid);
  if (!is_known && !may_have_left(entry)) return false;
  if (!entry.draining) entry.traces.places = listeners_.places();
  const auto sockets = listeners_.listening();
  // Processes that SIGKILL cannot end are not waited for.
  const bool is_late = entry.killed && Milliseconds(uv_now(&loop_)) - *entry.killed >= base_.term_grace;
  if (is_late || (!is_known && (!entry.draining || entry.forced))) {
    const bool others = !entry.process->is_child();
    note_left(entry, left_behind_.end_now(entry.pid, entry.traces, sockets, others));
    return false;
  }
  auto state =
      left_behind_.step(entry.pid, entry.traces, sockets, Milliseconds(uv_now(&loop_)), base_.term_grace);
  if (!state) return true;
  const std::size_t open = state->open;
  if (open > 0 && !std::exchange(entry.outlived, true))
    log::info("slot {} pid {}: has ended; waiting for {} of its forked processes", entry.slot, entry.pid,
              plural(open, "connection"));
  if (entry.outlived) note_open(id, entry, entry.elsewhere = open);
  note_left(entry, std::move(state->holders));
  return !state->is_over;
}

void WorkerPool::note_left(Entry& entry, std::vector<Holder> holders) {
  for (auto& holder : holders) {
    const auto& process = holder.process;
    if (is_remaining(process)) continue;
    log::warning(
        "{} process {} ({}), which has the listener {} open{}",
        holder.is_known ? fmt::format("slot {} pid {}: has ended and left", entry.slot, entry.pid)
                        : "a worker has left",
        process.pid, process.program, fmt::join(holder.listeners, ", "),
        holder.must_end
            ? " and would accept with the old code: it is killed"
            : ", and runs another program, whose connections the new code never gets. End that process, "
              "and set FD_CLOEXEC on listeners before starting programs");
    if (!holder.must_end && remaining_.size() < remaining_limit)
      remaining_.push_back({holder, entry.slot, entry.generation});
    if (entry.left.size() < remaining_limit) entry.left.push_back(std::move(holder));
  }
}

bool WorkerPool::is_remaining(const LeftProcess& process) const {
  return std::any_of(remaining_.begin(), remaining_.end(), [&](const Remaining& one) {
    return one.holder.process.pid == process.pid && one.holder.process.started == process.started;
  });
}

std::vector<WorkerPool::Remaining> WorkerPool::remaining() {
  const auto listening = listeners_.listening();
  std::erase_if(remaining_, [&](const Remaining& one) {
    return !holds_any(one.holder.process, listening, one.holder.own);
  });
  return remaining_;
}

}  // namespace liveswap::master
