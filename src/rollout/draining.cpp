#include "rollout/draining.hpp"

#include <algorithm>

#include "rollout/engine.hpp"

// Draining workers block neither upgrades nor reverts: a connection can last for hours, and the fix of a
// bad release must not wait for that.
namespace liveswap::rollout {

// At least `forks`, which is what one upgrade leaves: no upgrade ends workers that the same upgrade drains.
unsigned Engine::most_draining() const { return std::max(settings_.max_draining.of(forks_), forks_); }

// Uses force on the workers that have drained longest, beyond the limit. Workers of removed slots do not
// count: each slot leaves them only once.
void Engine::limit_draining(Time now) {
  if (stopping_ || overview_.asked_to_drain() <= most_draining()) return;
  looks_ += slots_.size();
  std::vector<Worker*> asked;
  for (auto& [id, worker] : workers_)
    if (!active(worker) && worker.step == DrainStep::asked && worker.slot < forks_) asked.push_back(&worker);
  std::stable_sort(asked.begin(), asked.end(),
                   [](const Worker* a, const Worker* b) { return a->drain_since < b->drain_since; });
  asked.resize(asked.size() - most_draining());
  const std::string why = "was the longest of more than " + std::to_string(most_draining()) +
                          " draining workers (--max-draining)";
  for (Worker* worker : asked) next_step(now, *worker, why);
}

bool Engine::way_back() const { return upgrade_ && committed_ && (upgrade_->urgent || reverting()); }

// Without surge a slot waits for the old worker to exit. A roll forward allows the operator's drain limit,
// the way back a short one.
void Engine::clear_way_back(Time now) {
  if (!way_back() || surge() > 0) return;
  const auto& without = overview_.without_active();
  for (auto it = without.begin(); it != without.end();) {
    const unsigned slot = *it;
    ++looks_;
    for (const WorkerId id : slots_[slot].workers) hurry(now, workers_.at(id));
    it = without.upper_bound(slot);  // hurry() may have changed the set
  }
}

void Engine::hurry(Time now, Worker& worker) {
  if (worker.hurried || worker.step == DrainStep::killed) return;
  worker.hurried = true;
  const Time begun = worker.step == DrainStep::asked ? worker.drain_since : now;
  const Time end = begun + std::min(settings_.term_grace, hurried_step);
  worker.deadline = std::min(worker.deadline.value_or(end), end);
  see(worker.slot);
  if (*worker.deadline <= now) next_step(now, worker, hurried_in_words);
}

}  // namespace liveswap::rollout
