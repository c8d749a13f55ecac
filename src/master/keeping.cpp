#include "master/keeping/keeping.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/reload.hpp"
#include "master/master.hpp"
#include "master/settings.hpp"

// What a next master gets if this one is killed, and how a master goes on from what a killed one has left
// (docs/explanation/killed-master.md).
namespace liveswap::master {
namespace {

constexpr const char* lost_request = "the master was killed before it was done";

std::string by_this_start() {
  return "uid " + std::to_string(::getuid()) + ", start of pid " + std::to_string(::getpid());
}

}  // namespace

void Master::keep_with(const std::string& program) {
  keeping_.emplace(loop_,
                   Keeping::Settings{program, options_.state_dir, [this] { return options_.orphan_wait; },
                                     [this] { return save_for_next(); }, [this] { keep(); }});
}

// The drains that have waited for this state go on.
void Master::keep() {
  if (!keeping_ || !keeping_->keep()) return;
  is_kept_ = true;
  if (!waiting_drains_.empty()) drain_those_due();
}

void Master::keep_at_once() {
  is_kept_ = true;
  if (keeping_) keeping_->keep_at_once();
}

// Nothing that changes by itself is in it, so that an unchanged state is not sent again.
std::optional<state::MasterState> Master::save_for_next() {
  if (engine_.generation() == 0 || outcome_) return std::nullopt;
  state::MasterState into = save_common();
  into.at_rest = false;
  if (reload_ && !reload_->undone) into.options = reload_->before;
  into.options.command_line.clear();
  const auto forget = [](state::OutputState& output) {
    output.tail.clear();
    for (auto& stream : output.streams) stream.waiting = stream.tail = "";
  };
  for (auto& worker : into.workers) forget(worker.output);
  for (auto& output : into.left_outputs) forget(output);
  for (auto& [id, text] : receipts_.save())
    if (const auto* request = requests_.find(id))
      into.receipts.push_back({id, request->verb, request->asked, request->by, request->since, text});
  return into;
}

// The clients have lost their connections. A request that the engine goes on with is answered by it, which
// writes the receipt.
void Master::adopt_requests(const state::MasterState& from) {
  for (const auto& one : from.receipts) {
    requests_.adopt(one.request, {0, one.verb, false, one.asked, one.by, one.since});
    receipts_.adopt(one.request, one.receipt);
  }
}

// The former master may have been killed before it sent these frames. A second one does no harm.
void Master::repeat_drains() {
  rollout::Commands orders;
  for (const auto& [id, worker] : engine_.workers()) {
    if (worker.state != rollout::WorkerState::draining) continue;
    if (worker.step == rollout::DrainStep::revoked) orders.emplace_back(rollout::Revoke{id});
    if (worker.step != rollout::DrainStep::asked) continue;
    const auto left =
        worker.deadline ? std::optional(std::max(*worker.deadline - now(), rollout::Time{0})) : std::nullopt;
    orders.emplace_back(rollout::Drain{id, left});
  }
  perform(std::move(orders));
}

Outcome Master::take_over(TakeOver from) {
  start_watching();
  keeping_->adopt(std::move(from.keeper));
  auto& state = from.state;
  if (from.head) state.engine = rollout::as_head_says(std::move(state.engine), *from.head);
  status_.resume({now(), now(), 0});
  adopt_requests(state);
  std::set<rollout::RequestId> goes_on;
  if (const auto& unfinished = state.engine.unfinished) goes_on.insert(unfinished->request);
  for (const auto& one : state.engine.decided) goes_on.insert(one.request);
  begin_late_start(from);
  log::info("took over {} of a master that was killed; generation {}, {}",
            plural(state.workers.size(), "worker"), state.engine.generation, state.engine.release.path);
  for (const auto& listener : listeners_.bound())
    log::info("listener {}: {}", listener.name, listener.address);
  adopt(state);
  close_listeners();
  if (engine_.flipping()) {
    listeners_.resume_flip();
    pending_flip_.begin();
  }
  repeat_drains();
  std::vector<rollout::RequestId> lost;
  for (const auto& one : state.receipts)
    if (!goes_on.contains(one.request)) lost.push_back(one.request);
  for (const auto id : lost) carry_out(rollout::Answer{id, rollout::Verdict::reverted, lost_request});
  booted_ = true;
  tell_ready();
  return loop();
}

// Looks up the hosts of new listeners. What cannot be applied is told, and the former options stay.
void Master::begin_late_start(TakeOver& from) {
  late_start_ = LateStart{from.start};
  ConfigReading::Found found{std::move(from.options), std::move(from.identity), {}};
  config_reading_.complete(options_, std::move(found), [this](const ConfigReading::Outcome& outcome) {
    if (!late_start_ || engine_.stopping()) return;
    late_start_->found = outcome ? *outcome : ConfigReading::Found{options_, tools_.worker.identity, {}};
    if (!outcome) give_up_options_of_start(outcome.error().text);
    catch_up_with_start();
  });
}

void Master::give_up_options_of_start(const std::string& why) {
  notice("the master goes on with the options of the former start: " + why);
}

// Applies what this start says otherwise than the former one, once nothing else is under way: options as by a
// reload, and another release as by an upgrade. The start counts as done when the options have been applied.
void Master::catch_up_with_start() {
  const auto must_wait = [this] {
    return !late_start_ || !late_start_->found || outcome_ || engine_.stopping() || reload_obstacle();
  };
  if (must_wait()) return;
  if (!std::exchange(late_start_->is_reloaded, true)) reload_for_start();
  if (must_wait()) return;
  const auto start = std::exchange(late_start_, std::nullopt)->start;
  guarded([this] { tell_ready(); });
  const auto& release = engine_.release();
  if (start.path.empty() || (start.path == release.path && start.id == release.id)) return;
  rollout::UpgradeRequest wish;
  wish.path = start.path;
  if (!start.id.empty()) wish.release = start;
  wish.pace = pace_of(options_);
  const auto request =
      requests_.open({0, protocol::Verb::upgrade, false, start.path, by_this_start(), now()});
  perform(engine_.upgrade(now(), request, wish));
}

void Master::reload_for_start() {
  const ConfigReading::Found found = *late_start_->found;
  auto plan = config::plan_reload(options_, found.options);
  std::erase_if(plan.changes, [](const auto& one) { return one.applies == config::Applies::restart; });
  if (plan.changes.empty()) return;
  const auto request = requests_.open({0, protocol::Verb::reload, false, {}, by_this_start(), now()});
  const auto failure = begin_reload(request, found, plan);
  if (!failure) return;
  requests_.give_up(request);
  give_up_options_of_start(failure->text);
}

}  // namespace liveswap::master
