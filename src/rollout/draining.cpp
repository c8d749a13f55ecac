#include "rollout/draining.hpp"

#include <algorithm>

#include "rollout/engine.hpp"

// Workers that only drain hold up neither the way back nor the way forward. A connection can last for hours,
// and the fix of a bad release must not wait for it.
namespace liveswap::rollout {

// Not fewer than an upgrade leaves behind, so that no upgrade ends workers that it has itself told to drain.
unsigned Engine::most_draining() const { return std::max(settings_.max_draining.of(forks_), forks_); }

// Of the workers that were asked to drain, those beyond the limit get force as if their own limit had passed:
// those that have drained longest. Workers of slots that vanish do not count, since each slot leaves its
// workers behind but once.
void Engine::limit_draining(Time now) {
  if (stopping_) return;
  std::vector<Worker*> asked;
  for (auto& [id, worker] : workers_)
    if (!active(worker) && worker.step == DrainStep::asked && worker.slot < forks_) asked.push_back(&worker);
  if (asked.size() <= most_draining()) return;
  std::stable_sort(asked.begin(), asked.end(),
                   [](const Worker* a, const Worker* b) { return a->drain_since < b->drain_since; });
  asked.resize(asked.size() - most_draining());
  const std::string why =
      "drained longest of more than " + std::to_string(most_draining()) + " (--max-draining)";
  for (Worker* worker : asked) next_step(now, *worker, why);
}

bool Engine::way_back() const { return upgrade_ && committed_ && (upgrade_->urgent || reverting()); }

// Without surge a slot waits until its old worker has gone. That one drains as long as the operator allows on
// the way forward, but not on the way back.
void Engine::clear_way_back(Time now) {
  if (!way_back() || surge() > 0) return;
  for (unsigned slot = 0; slot < forks_; ++slot) {
    if (has_active(slot)) continue;
    for (const WorkerId id : slots_[slot].workers) hurry(now, workers_.at(id));
  }
}

void Engine::hurry(Time now, Worker& worker) {
  if (worker.hurried || worker.step == DrainStep::killed) return;
  worker.hurried = true;
  const Time begun = worker.step == DrainStep::asked ? worker.drain_since : now;
  const Time end = begun + std::min(settings_.term_grace, hurried_step);
  worker.deadline = std::min(worker.deadline.value_or(end), end);
  if (*worker.deadline <= now) next_step(now, worker, hurried_in_words);
}

}  // namespace liveswap::rollout
