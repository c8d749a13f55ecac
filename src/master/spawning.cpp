#include "base/log.hpp"
#include "base/text.hpp"
#include "master/master.hpp"
#include "master/settings.hpp"

// Starts workers. A worker gets a process only when the bytes of its release have been examined; until then
// the worker is in `unspawned_`.
namespace liveswap::master {
namespace {

constexpr const char* itself = "the master itself";
constexpr const char* not_started = "it was not started: its release was still being examined";

}  // namespace

// Asks for a substitute only if the release is the committed one. If the new release of an upgrade is
// unsound, the upgrade fails and the committed release serves on.
void Master::carry_out(const rollout::Spawn& command) {
  if (soundness_.is_sealed(command.release)) return start_worker(command);
  const std::string file = soundness_.file_of(command.release);
  if (!unspawned_.add(file, command)) return;
  soundness_.log_hashing(command.release);
  // If an exception leaves a worker without a process, the worker's ready limit ends it by
  // end_without_process().
  const auto done = [this, file, release = command.release](const rollout::Examined& found) {
    const auto waiting = unspawned_.take(file);
    guarded([&] { on_examined(waiting, found); });
    // Also if no worker waits any more: hashing may take longer than the ready limit every time.
    guarded([&] { fall_back(release, found); });
  };
  soundness_.examine(command.release, command.release.id == engine_.release().id, done);
}

// Before the first successor of a flip, makes the staged sockets.
void Master::start_worker(const rollout::Spawn& command) {
  const auto staged = command.staged && !listeners_.staged() ? listeners_.stage() : Result<void>();
  if (staged) pool_.spawn(command);
  else perform(engine_.exited(now(), command.worker, {"spawn", staged.error().text, false}));
}

void Master::on_examined(const std::vector<UnspawnedWorkers::Worker>& waiting,
                         const rollout::Examined& found) {
  for (const auto& one : waiting) {
    const auto worker = engine_.workers().find(one.order.worker);
    if (worker == engine_.workers().end()) continue;
    // The engine may have decided to drain this worker because of an earlier one in this loop.
    const bool is_wanted = worker->second.state == rollout::WorkerState::starting;
    if (!found.sound() || !is_wanted) {
      perform(engine_.exited(now(), one.order.worker,
                             {"open", found.sound() ? not_started : found.text, !is_wanted}));
      continue;
    }
    start_worker(one.order);
    if (one.note) carry_out(*one.note);
  }
}

// Ends a worker that has no process yet: the engine gets its exit. False: the worker has a process.
bool Master::end_without_process(rollout::WorkerId worker) {
  unspawned_.remove(worker);
  if (pool_.pid(worker) > 0) return false;
  perform(engine_.exited(now(), worker, {"spawn", not_started, true}));
  return true;
}

// After a worker could not read its code: a page that the disk does not return, or that does not match its
// fs-verity, is an error at loading, and SIGBUS later. An application may get SIGBUS for other reasons; then
// the release is found sound.
void Master::doubt_release(rollout::WorkerId worker, const rollout::Departure& departure) {
  const auto found = engine_.workers().find(worker);
  const bool was_loading = departure.stage == stage_word(LIVESWAP_STAGE_OPEN) ||
                           departure.stage == stage_word(LIVESWAP_STAGE_LINK);
  const bool may_be_unreadable = pool_.find(worker).exit_code == "SIGBUS" || was_loading;
  if (found != engine_.workers().end() && may_be_unreadable) soundness_.doubt(found->second.release);
}

// Rolls back if `found` shows that the committed release is unsound and an earlier release is sound.
void Master::fall_back(const rollout::Release& release, const rollout::Examined& found) {
  const auto decision = fall_back_.decide(engine_, release, found, pace_of(instantly()));
  if (std::holds_alternative<rollout::FallBack::NoWayBack>(decision))
    log::error("no release before it can take its place: the slots that have a worker go on serving");
  const auto* wish = std::get_if<rollout::UpgradeRequest>(&decision);
  if (!wish) return;
  log::warning("rolling back to {} ({}), which is sound{}", wish->path, short_id(wish->release->id),
               rollout::left_remark(found));
  store_tasks_.stop_collecting();
  const auto request = requests_.open({0, protocol::Verb::rollback, false, "", itself, now()});
  perform(engine_.upgrade(now(), request, *wish));
}

// Call after the commit of `release`, for `request`. `before`: the release that was committed until then.
void Master::note_committed(const rollout::Release& release, const rollout::Release& before,
                            rollout::RequestId request) {
  const auto* asked = requests_.find(request);
  const bool back = asked && asked->verb == protocol::Verb::rollback;
  committed_.add({release.path, release.id}, back ? before.id : "");
  fall_back_.committed(asked && asked->by == itself);
}

}  // namespace liveswap::master
