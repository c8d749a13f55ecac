#include "base/log.hpp"
#include "master/master.hpp"
#include "master/settings.hpp"

// A worker is started when the bytes of its release are known to be those that were committed. Until then it
// has no process.
namespace liveswap::master {
namespace {

constexpr const char* itself = "the master itself";
constexpr const char* not_started = "it was not started: its release was still being verified";

}  // namespace

// The new release of an upgrade needs no substitute: the upgrade fails, and the committed one serves.
void Master::carry_out(const rollout::Spawn& command) {
  if (soundness_.is_sealed(command.release)) return start_worker(command);
  const std::string file = soundness_.file_of(command.release);
  if (!unverified_.add(file, command)) return;
  log_hashing(command.release);
  // A worker that an exception leaves without a process is gone once its ready limit has passed.
  const auto done = [this, file, release = command.release](const rollout::Checked& found) {
    const auto waiting = unverified_.take(file);
    guarded([&] { on_checked(waiting, found); });
    // Also when no worker waits any more: each time, hashing may take longer than the ready limit.
    guarded([&] { fall_back(release, found); });
  };
  soundness_.verify(command.release, command.release.id == engine_.release().id, done);
}

// The first successor of a flip has the staged sockets made.
void Master::start_worker(const rollout::Spawn& command) {
  const auto staged = command.staged && !listeners_.staged() ? listeners_.stage() : Result<void>();
  if (staged)
    pool_.spawn(command);
  else
    perform(engine_.exited(now(), command.worker, {"spawn", staged.error().text, false}));
}

void Master::on_checked(const std::vector<UnverifiedWorkers::Worker>& waiting,
                        const rollout::Checked& found) {
  for (const auto& one : waiting) {
    const auto worker = engine_.workers().find(one.order.worker);
    if (worker == engine_.workers().end()) continue;
    // The failure of one worker may have made the engine dismiss the others.
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

// A worker that has no process yet is taken out of the queue and reported to the engine as ended. True: it
// was one.
bool Master::is_gone(rollout::WorkerId worker) {
  unverified_.remove(worker);
  if (pool_.pid(worker) > 0) return false;
  perform(engine_.exited(now(), worker, {"spawn", not_started, true}));
  return true;
}

// The committed release may be one that cannot be respawned any more.
void Master::fall_back(const rollout::Release& release, const rollout::Checked& found) {
  const auto decision = fall_back_.decide(engine_, release, found, pace_of(instantly()));
  if (std::holds_alternative<rollout::FallBack::NoWayBack>(decision))
    log::error("no release before it can take its place: the slots that have a worker go on serving");
  const auto* wish = std::get_if<rollout::UpgradeRequest>(&decision);
  if (!wish) return;
  log::warning("rolling back to {} ({}), which is sound{}", wish->path, wish->release->id.substr(0, 12),
               rollout::left_remark(found));
  store_tasks_.stop_collecting();
  const auto request = requests_.open({0, protocol::Verb::rollback, false, "", itself, now()});
  perform(engine_.upgrade(now(), request, *wish));
}

// `request` went from `before` to `release`.
void Master::note_committed(const rollout::Release& release, const rollout::Release& before,
                            rollout::RequestId request) {
  const auto* asked = requests_.find(request);
  const bool back = asked && asked->verb == protocol::Verb::rollback;
  committed_.add({release.path, release.id}, back ? before.id : "");
  fall_back_.committed(asked && asked->by == itself);
}

}  // namespace liveswap::master
