#include <algorithm>

#include "rules.hpp"

namespace liveswap::rollout {

Rules::Known& Rules::known(WorkerId worker) {
  const auto it = workers_.find(worker);
  demand(it != workers_.end(), "an order is for a worker that is alive");
  return it->second;
}

void Rules::order(const Spawn& spawn) {
  demand(!stopping_, "nobody is spawned while stopping");
  demand(spawn.worker > last_worker_, "no id is given twice");
  last_worker_ = spawn.worker;
  const unsigned forks = std::max(forks_before_, engine_.fork_count());
  demand(spawn.slot < forks, "a worker is for a slot that exists");
  const auto busy = std::count_if(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return !entry.second.told && entry.second.slot < engine_.fork_count();
  });
  demand(surge() == 0 || static_cast<unsigned>(busy) < engine_.fork_count() + surge(),
         "there are never more than forks + surge workers that start or serve");
  const Release& release = releases_.emplace(spawn.generation, spawn.release).first->second;
  demand(release == spawn.release, "a generation has one release");
  const bool successor = rolls() && spawn.generation == course_->to;
  demand(successor ? spawn.release == course_->release
                   : booted_ && spawn.generation == generation_ && spawn.release.id == release_,
         "only the release that is rolled out and the committed one are spawned");
  demand(!course_ || !course_->flip || course_->flipped, "nobody is spawned while it flips");
  judge_neighbours(spawn);
  const bool replaces = replaces_hung(spawn);
  if (replaces) judge_replacement(spawn.slot);
  if (successor && booted_) judge_successor(spawn);
  const bool flips =
      successor && booted_ && course_->pace().flip && settings_.zero_downtime && !course_->flip;
  demand(spawn.staged == flips, "staged is who waits for a flip");
  Known worker;
  worker.slot = spawn.slot;
  worker.generation = spawn.generation;
  worker.spawned = now_;
  worker.staged = spawn.staged;
  worker.replaces = replaces;
  workers_.emplace(spawn.worker, worker);
}

void Rules::judge_neighbours(const Spawn& spawn) const {
  for (const auto& [id, worker] : workers_) {
    if (worker.slot != spawn.slot) continue;
    demand(surge() > 0, "without surge the old worker of a slot has gone before the next one starts");
    if (worker.told || (worker.hung && worker.generation == spawn.generation && settings_.zero_downtime))
      continue;
    demand(worker.generation != spawn.generation, "a slot has one worker of a generation");
    const bool waits = worker.staged || !worker.ready;
    demand(!booted_ || spawn.generation != generation_ || worker.generation <= failed_ || waits,
           "the committed release takes the place of failed ones, or stands in for one that starts");
    demand(settings_.zero_downtime, "the old leaves first where that is asked for");
  }
}

// A successor starts only within the canary, and within the memory limit.
void Rules::judge_successor(const Spawn& spawn) const {
  std::set<unsigned> slots{spawn.slot};
  for (const auto& [id, worker] : workers_)
    if (worker.generation == course_->to) slots.insert(worker.slot);
  demand(canary() == 0 || course_->pace().flip || course_->baked || slots.size() <= canary(),
         "no more slots than the canary has before it is baked");
  demand(!course_->trial, "nobody gets his turn during a trial");
  if (settings_.max_memory == 0 || !settings_.zero_downtime || surge() == 0 || way_back()) return;
  demand(!measuring_, "nobody is started before the memory is known");
  demand(one_more_fits(), "no successor is started that does not fit");
}

// A worker without a measurement may be as large as the largest living one.
bool Rules::one_more_fits() const {
  std::uint64_t largest = 0;
  for (const auto& [id, worker] : workers_)
    if (const auto it = sizes_.find(id); it != sizes_.end()) largest = std::max(largest, it->second);
  std::uint64_t sum = largest;
  for (const auto& [id, worker] : workers_) sum += sizes_.count(id) ? sizes_.at(id) : largest;
  return sum <= settings_.max_memory;
}

// Counts workers that were told to drain, in slots that still exist.
unsigned Rules::asked_to_drain() const {
  return static_cast<unsigned>(std::count_if(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.told && entry.second.step == DrainStep::asked &&
           entry.second.slot < engine_.fork_count();
  }));
}

unsigned Rules::most_draining() const {
  return std::max(settings_.max_draining.of(engine_.fork_count()), engine_.fork_count());
}

bool Rules::drained_longest(WorkerId id) const {
  const Known& worker = workers_.at(id);
  return worker.slot < engine_.fork_count() &&
         std::none_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
           return entry.second.told && entry.second.step == DrainStep::asked &&
                  entry.second.slot < engine_.fork_count() && entry.second.asked < worker.asked;
         });
}

// Without surge the successor of this worker cannot start yet, and a rollback or revert waits for that.
bool Rules::holds_up_way_back(const Known& worker) const {
  return way_back() && surge() == 0 && worker.slot < engine_.fork_count() &&
         std::none_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
           return entry.second.slot == worker.slot && !entry.second.told;
         });
}

// Force without a drain, or before the drain limit, needs a request for it.
bool Rules::force_allowed() const {
  return wish_ == Kind::kill || wish_ == Kind::die || (wish_ == Kind::stop && state_before_ == "stopping") ||
         !settings_.zero_downtime;
}

void Rules::step(WorkerId id, DrainStep step, std::optional<Time> next) {
  Known& worker = known(id);
  if (!worker.told && course_ && course_->rolling) worker.told_in = course_->request;
  if (!worker.told && !worker.returned && serves(worker) && !stopping_ && !force_allowed() && surge() > 0 &&
      worker.slot < engine_.fork_count()) {
    demand(std::any_of(workers_.begin(), workers_.end(),
                       [&](const auto& entry) {
                         return entry.first != id && entry.second.slot == worker.slot && serves(entry.second);
                       }),
           "the only ready worker of a slot is left alone");
  }
  if (!worker.told) worker.asked = now_;
  worker.told = true;
  worker.step = step;
  worker.next_step = next;
}

void Rules::order(const Drain& drain) {
  const Known& worker = known(drain.worker);
  demand(!worker.told, "a worker is told to drain once");
  demand(worker.entered.has_value(), "who has not entered holds nothing that could drain");
  demand(!worker.hung || worker.returned, "a hung worker cannot drain");
  if (worker.ready && !worker.returned)
    demand(drain.limit == settings_.drain_limit || (way_back() && surge() == 0 && drain.limit <= Time{200}),
           "a proven worker has the drain limit");
  else
    demand(drain.limit && *drain.limit <= settings_.drain_limit.value_or(Time{5'000}),
           "an unproven worker has a short drain limit");
  step(drain.worker, DrainStep::asked, drain.limit ? std::optional(now_ + *drain.limit) : std::nullopt);
}

void Rules::order(const Revoke& revoke) {
  const Known& worker = known(revoke.worker);
  const bool crowded = asked_to_drain() > most_draining() && drained_longest(revoke.worker);
  demand(
      worker.told && worker.step == DrainStep::asked &&
          (worker.next_step == now_ || crowded || worker.held_up || holds_up_way_back(worker)),
      "a drain expires when its limit has passed, and earlier only where too many drain or a way back waits");
  step(revoke.worker, DrainStep::revoked, now_ + settings_.term_grace);
}

void Rules::order(const Signal& signal) {
  const Known& worker = known(signal.worker);
  demand(!worker.told || worker.step != DrainStep::killed, "nobody is killed twice");
  const bool due = worker.told && worker.next_step == now_;
  if (signal.kill) {
    demand((due && worker.step == DrainStep::termed) || (!worker.told && (!worker.entered || worker.hung)),
           "SIGKILL is for those who ignore SIGTERM, have not entered, or hang");
    if (!worker.told && worker.hung) judge_old_first(worker);
    step(signal.worker, DrainStep::killed, std::nullopt);
    return;
  }
  demand(!worker.told || worker.step < DrainStep::termed, "SIGTERM is sent once");
  demand((due && worker.step == DrainStep::revoked) || force_allowed(),
         "SIGTERM is for those who outlast their limit, or at once on request");
  step(signal.worker, DrainStep::termed, now_ + settings_.term_grace);
}

void Rules::order(const Prepare& prepare) {
  demand(!preparing_, "there is one preparation at a time");
  begin_course(prepare.request);
  demand(!course_->wish.release, "a release of the store needs no preparation");
  demand(prepare.path == course_->wish.path, "what is prepared is what was asked for");
  preparing_ = true;
}

void Rules::order(const CancelPrepare&) {
  demand(preparing_, "only a preparation that runs is cancelled");
  preparing_ = false;
}

void Rules::order(const Commit& commit) {
  demand(rolls() && commit.release == course_->release && course_->to > generation_,
         "what is committed is what was rolled out");
  demand(all_slots_serve(course_->to), "a release is committed when every slot has a ready worker of it");
  demand(!course_->doomed, "what has failed is not committed");
  const bool flips = booted_ && course_->pace().flip && settings_.zero_downtime;
  demand(!flips || course_->flipped, "a flip comes before the commit");
  demand(!booted_ || canary() == 0 || course_->pace().flip || course_->baked,
         "a bake comes before the commit");
  course_->baked = true;
  end_trial("a probation lasts as long as it should");
}

void Rules::order(const Flip&) {
  demand(rolls() && course_->pace().flip && !course_->flip, "a flip is for those who asked for it, and once");
  course_->flip = true;
  for (auto& [id, worker] : workers_) worker.staged = worker.generation != course_->to;
  demand(all_slots_serve(course_->to), "nothing flips before all successors are ready");
}

void Rules::order(const Measure&) {
  demand(settings_.max_memory > 0, "memory without a limit is of no interest");
  measuring_ = true;
}

void Rules::order(const Steer& steer) {
  demand(steer.slots == engine_.fork_count(), "connections are steered to the slots that stay");
  for (auto& [request, open] : open_) open.shrinks |= open.kind == Kind::forks;
}

void Rules::order(const CloseSlots& close) {
  for (const auto& [id, worker] : workers_)
    demand(worker.slot < close.slots, "slots are closed when nobody serves them");
}

void Rules::order(const Booted&) {
  demand(!booted_ && cause_ == Cause::committed, "the master has booted once, with the first commit");
  booted_ = true;
}

}  // namespace liveswap::rollout
