#include "master/master.hpp"
#include "rollout/undone.hpp"

// Handles a command of the engine that an exception has interrupted: out of memory, or an error of a library.
// If the engine waits for the command's outcome, make_up() reports an outcome as an event. Otherwise the
// command is carried out again after a pause.
namespace liveswap::master {
namespace {

constexpr const char* why = "an error inside the master cut it off (its log says which)";

constexpr Milliseconds once_more{50};

}  // namespace

void Master::make_up_for(const rollout::Command& command) {
  std::visit([this](const auto& order) { make_up(order); }, command);
}

// For Drain, Revoke, Signal, CancelPrepare, Steer, CloseSlots and Booted, which may be carried out twice.
template <class Command>
void Master::make_up(const Command& command) {
  undone_.emplace_back(command);
  undone_timer_.start(once_more);
}

// The engine's state may have changed since: still_due() adapts or drops the command.
void Master::do_undone() {
  rollout::Commands due;
  for (const auto& command : undone_)
    if (auto by_now = rollout::still_due(command, engine_)) due.push_back(std::move(*by_now));
  undone_.clear();
  perform(std::move(due));
}

// If the process exists, kills it; its exit is then reported as usual. Else reports the worker as exited.
void Master::make_up(const rollout::Spawn& command) {
  if (pool_.pid(command.worker)) return pool_.signal(command.worker, true);
  unspawned_.remove(command.worker);
  perform(engine_.exited(now(), command.worker, {"spawn", why, false}));
}

void Master::make_up(const rollout::Prepare&) {
  carry_out(rollout::CancelPrepare{});
  perform(engine_.prepare_failed(now(), std::string("the preparation: ") + why));
}

// Repeats the commit once. If that throws too, the commit has failed.
void Master::make_up(const rollout::Commit& command) {
  if (!guarded([&] { carry_out(command); }))
    perform(engine_.commit_failed(now(), std::string("the record: ") + why));
}

// If the set is still staged, connections go to the old sockets: the flip has failed. Else they go to the new
// sockets.
void Master::make_up(const rollout::Flip&) {
  if (listeners_.staged()) perform(engine_.flip_failed(now(), std::string("the flip: ") + why));
  else perform(engine_.flipped(now()));
}

void Master::make_up(const rollout::Measure&) { perform(engine_.measured(now(), {})); }

void Master::make_up(const rollout::Answer& command) {
  const bool ends_reload = reload_ && command.request != 0 &&
                           (command.request == reload_->request || command.request == reload_->step);
  if (ends_reload) {
    reload_changes_.erase(reload_->request);
    requests_.give_up(reload_->request);
    guarded([this] { undo_reload(); });
    guarded([this] { end_reload(); });
    reload_.reset();
  }
  requests_.give_up(command.request);
}

void Master::make_up(const rollout::Quit& command) {
  outcome_.emplace(Outcome{command.ok ? ok : failed, {}});
  uv_stop(&loop_);
}

}  // namespace liveswap::master
