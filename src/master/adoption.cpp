#include <algorithm>
#include <map>

#include "base/log.hpp"
#include "master/master.hpp"

// How a master goes on from a state: that of the former image of its program, or of a master that was killed.
namespace liveswap::master {
namespace {

// Workers that a killed master has not spawned yet are left out. After a flip, the workers with the former
// sockets get no connections; before it, those with the new ones.
rollout::Engine::Facts facts_of(const state::MasterState& from, unsigned live) {
  auto facts = from.engine;
  std::map<rollout::WorkerId, unsigned> sets;
  for (const auto& worker : from.workers) sets[worker.id] = worker.set;
  std::erase_if(facts.workers, [&](const auto& worker) { return !sets.contains(worker.id); });
  for (auto& worker : facts.workers)
    worker.staged = worker.state != rollout::WorkerState::draining && sets[worker.id] != live;
  return facts;
}

}  // namespace

// What is remembered first, then what runs, and the clients last: a command may come at once.
void Master::adopt(const state::MasterState& from) {
  requests_.resume_after(from.last_request);
  queries_.resume_after(from.last_query);
  failures_ = from.failures;
  committed_ = from.committed;
  fall_back_ = from.fall_back;
  if (const auto& last = from.last_upgrade)
    receipts_.resume(OpenReceipts::LastUpgrade{last->verdict, last->text, last->receipt, last->at});
  steered_ = from.steered;
  app_listeners_.adopt(from.app_listeners, from.listeners);
  give_up_changed_listeners();
  if (listeners_.staged()) repeat_flip();
  std::vector<std::pair<rollout::WorkerId, std::string>> lost;
  for (const auto& worker : from.workers)
    if (auto adopted = pool_.adopt(worker); !adopted) lost.emplace_back(worker.id, adopted.error().text);
  for (const auto& output : from.left_outputs) pool_.adopt_left(output);
  pool_.adopt_remaining(from.remaining);
  perform(engine_.adopt(now(), facts_of(from, listeners_.live())));
  for (const auto& [id, text] : lost) perform(engine_.exited(now(), id, {"run", text, false}));
  // Watches the files of application listeners too, and makes those again that were removed meanwhile.
  listener_files_.mend();
  if (!from.record_trouble.empty()) record_.write_later(from.record_trouble);
  // So that a respawn need not wait for that.
  soundness_.examine(engine_.release(), false, [](const rollout::Examined&) {});
}

// A reload was under way when the master was killed: it has failed, and the former options hold.
void Master::give_up_changed_listeners() {
  listeners_.take_back();
  listeners_.set_backlog(options_.backlog);
}

// A master was killed when it was about to flip, or had begun. If the flip fails now, the old workers get the
// connections, as after any flip that fails. One case differs: if the killed master had already removed the
// old file of a Unix path, clients of that path are refused.
void Master::repeat_flip() {
  const auto flipped = listeners_.flip();
  if (flipped) return;
  log::error("the flip that the killed master has begun cannot be completed: {}", flipped.error().text);
  listeners_.steer_again();
}

}  // namespace liveswap::master
