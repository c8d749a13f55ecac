#include "rollout/judge.hpp"

#include <algorithm>
#include <utility>

#include "rollout/engine.hpp"

// How a new release is judged besides crashes: probes, failed requests, memory.
namespace liveswap::rollout {
namespace {

constexpr std::uint64_t enough_requests = 20;
constexpr double tolerated_share = 0.01;
constexpr double tolerated_factor = 2.0;
constexpr unsigned probes_to_fail = 2;  // in a row: a single one may be chance

double share(const Served& served) {
  return served.requests ? static_cast<double>(served.failed) / static_cast<double>(served.requests) : 0.0;
}

std::string in_words(const Served& served) {
  return std::to_string(served.failed) + " of " + std::to_string(served.requests) + " requests";
}

std::string mebibytes(std::uint64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

}  // namespace

std::optional<std::string> judge_errors(const Served& old_release, const Served& new_release) {
  if (new_release.requests < enough_requests) return std::nullopt;
  const double limit = std::max(tolerated_share, tolerated_factor * share(old_release));
  if (share(new_release) <= limit) return std::nullopt;
  return "the application reports errors for " + in_words(new_release) +
         " that the new workers have answered, for " + in_words(old_release) + " of the old ones";
}

bool Engine::judging() const {
  return upgrade_ && committed_ && (rolling() || upgrade_->phase == Phase::preparing) &&
         upgrade_->phase != Phase::committing;
}

bool Engine::successor_serves() const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const Worker& worker = entry.second;
    return rolling() && worker.generation == upgrade_->to.generation && worker.state == WorkerState::ready &&
           !worker.staged;
  });
}

Commands Engine::probed(Time now, const Probe& probe) {
  if (!judging() || probe.made == 0) return done(now);
  if (!successor_serves()) {
    if (upgrade_->phase == Phase::preparing || !upgrade_->sick_before)
      upgrade_->sick_before = probe.failed > 0;
    return done(now);
  }
  const bool trial = upgrade_->phase == Phase::baking || upgrade_->phase == Phase::probation;
  upgrade_->probed = trial;
  upgrade_->failed_probes = probe.failed > 0 ? upgrade_->failed_probes + 1 : 0;
  // If the old release failed probes too, or was never probed alone, the new one is not to blame.
  if (upgrade_->sick_before.value_or(!trial)) return done(now);
  if (upgrade_->failed_probes >= probes_to_fail) fail_upgrade(now, "health probe: " + probe.text);
  else if (trial && !upgrade_->deadline && upgrade_->failed_probes == 0) end_trial(now);
  return done(now);
}

Commands Engine::counted(Time now, const std::map<WorkerId, Served>& served) {
  if (!judging() || upgrade_->phase == Phase::preparing) return done(now);
  Served old_release;
  Served new_release;
  for (const auto& [id, count] : served) {
    const auto it = workers_.find(id);
    if (it == workers_.end()) continue;
    Served& sum = it->second.generation == upgrade_->to.generation ? new_release : old_release;
    sum.requests += count.requests;
    sum.failed += count.failed;
  }
  if (const auto worse = judge_errors(old_release, new_release)) fail_upgrade(now, *worse);
  return done(now);
}

void Engine::ask_memory() {
  if (settings_.max_memory == 0 || !upgrade_ || !committed_ || upgrade_->measuring) return;
  upgrade_->measuring = true;
  out_.push_back(Measure{});
}

Commands Engine::measured(Time now, const std::map<WorkerId, std::uint64_t>& bytes) {
  memory_.clear();
  for (const auto& [id, size] : bytes)  // some may have exited meanwhile
    if (workers_.count(id)) memory_.emplace(id, size);
  if (upgrade_) upgrade_->measuring = false;
  return done(now);
}

// Whether one more worker fits. An unmeasured worker counts as the largest measured one.
bool Engine::fits_memory() const {
  std::uint64_t largest = 0;
  for (const auto& [id, bytes] : memory_) largest = std::max(largest, bytes);
  std::uint64_t sum = largest;
  for (const auto& [id, worker] : workers_) {
    const auto it = memory_.find(id);
    sum += it != memory_.end() ? it->second : largest;
  }
  return sum <= settings_.max_memory;
}

// True: start no successor now. If no worker is about to exit and make room, a roll forward fails. A revert
// or rollback waits neither for room nor for a measurement.
bool Engine::wait_for_memory(Time now) {
  if (settings_.max_memory == 0 || !upgrade_ || !committed_ || upgrade_->urgent || !rolling()) return false;
  if (upgrade_->measuring) return true;
  if (fits_memory()) return false;
  const bool may_change = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.state != WorkerState::ready;
  });
  std::uint64_t sum = 0;
  for (const auto& [id, bytes] : memory_) sum += bytes;
  const std::string sizes =
      "the workers take " + mebibytes(sum) + ", --max-memory is " + mebibytes(settings_.max_memory);
  if (!may_change)
    fail_upgrade(now, "no memory for a successor: " + sizes +
                          "; raise it, or let the old worker go first (--surge 0)");
  else if (!std::exchange(upgrade_->said_waiting, true))
    note(NoteKind::waiting, "no memory for a further worker until another one has gone: " + sizes);
  return true;
}

}  // namespace liveswap::rollout
