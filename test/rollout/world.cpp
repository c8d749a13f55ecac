#include "world.hpp"

#include <ostream>

#include "words.hpp"

namespace liveswap::rollout {

World::World(const Plan& plan, Dice& dice, std::ostream* trace)
    : plan_(plan),
      dice_(dice),
      trace_(trace),
      engine_(plan.settings),
      rules_(plan.settings, engine_, plan.peaceful) {}

void World::later(Time span, std::function<void()> happen) {
  events_.push({now_ + span, dice_.roll(), std::move(happen)});
}

bool World::step() {
  const auto due = engine_.next_deadline();
  if (events_.empty() && !due) return false;
  const bool tie = due && !events_.empty() && *due == events_.top().at;
  if (events_.empty() || (due && (tie ? dice_.chance(50) : *due < events_.top().at))) {
    now_ = *due;
    tell(Cause::tick, "tick", 0, [&] { return engine_.tick(now_); });
  } else {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    event.happen();
  }
  return true;
}

void World::tell(Cause cause, const char* what, std::uint64_t whom, const std::function<Commands()>& engine) {
  if (trace_) *trace_ << now_.count() << ' ' << what << (whom ? ' ' + std::to_string(whom) : "") << '\n';
  const Commands commands = engine();
  if (trace_)
    for (const Command& command : commands) *trace_ << "    " << in_words(command) << '\n';
  rules_.judge(now_, cause, commands);
  engine_.forget_turned();
  perform(commands);
  if (performing_) return;
  watch();
  if (const auto due = engine_.next_deadline(); due && *due <= now_) return;
  // The engine has decided everything: a tick before the next deadline must change nothing.
  if (!engine_.tick(now_).empty()) throw Violation("a tick with nothing due orders nothing");
  reexecute();
}

// Now and then the master is re-executed: a new engine goes on from the facts of the old one, and orders
// nothing.
void World::reexecute() {
  if (!engine_.is_at_rest() || !dice_.chance(10)) return;
  if (trace_) *trace_ << now_.count() << " re-executed\n";
  Engine fresh(plan_.settings);
  const Commands commands = fresh.adopt(now_, engine_.facts());
  engine_ = std::move(fresh);
  rules_.reexecuted();
  ask_anew();
  if (!commands.empty()) throw Violation("a re-execution orders nothing");
}

// Carries out orders in their sequence. Orders that follow from one of them come after all of these.
void World::perform(const Commands& commands) {
  orders_.insert(orders_.end(), commands.begin(), commands.end());
  if (performing_) return;
  performing_ = true;
  while (!orders_.empty()) {
    const Command command = std::move(orders_.front());
    orders_.pop_front();
    std::visit([&](const auto& order) { obey(order); }, command);
  }
  performing_ = false;
}

// Sends probes and counts while the engine judges.
void World::watch() {
  if (watched_ || !engine_.judging()) return;
  watched_ = true;
  later(Time{dice_.between(1, 20)}, [this] {
    watched_ = false;
    if (plan_.settings.health) probe();
    if (plan_.counts_badly) count();
    watch();
  });
}

void World::probe() {
  const bool bad = !calm_ && dice_.chance(plan_.probe_fails);
  const Probe probe = bad ? Probe{2, 1, "it is ill"} : Probe{1, 0, ""};
  rules_.probed(bad);
  tell(Cause::probed, bad ? "probed, bad" : "probed, good", 0, [&] { return engine_.probed(now_, probe); });
}

void World::count() {
  std::map<WorkerId, Served> served;
  for (const auto& [id, process] : processes_) {
    const bool bad = !calm_ && dice_.chance(plan_.counts_badly);
    served[id] = {static_cast<std::uint64_t>(dice_.between(0, 50)), 0};
    if (bad) served[id].failed = served[id].requests / 2;
  }
  rules_.counted(served);
  tell(Cause::counted, "counted", 0, [&] { return engine_.counted(now_, served); });
}

void World::obey(const Commit&) {
  if (calm_ || !dice_.chance(plan_.commit_fails))
    tell(Cause::committed, "committed", 0, [&] { return engine_.committed(now_); });
  else
    tell(Cause::commit_failed, "commit failed", 0,
         [&] { return engine_.commit_failed(now_, "no space left"); });
}

void World::obey(const Flip&) {
  flips_ = true;
  if (dice_.chance(30)) flipped();
  else later(Time{dice_.between(0, 60)}, [this] { flipped(); });
}

void World::flipped() {
  flips_ = false;
  rules_.flipped();
  tell(Cause::flipped, "flipped", 0, [&] { return engine_.flipped(now_); });
}

// Some of the measured workers have exited when the engine gets the sizes.
void World::obey(const Measure&) {
  std::map<WorkerId, std::uint64_t> bytes;
  for (const auto& [id, process] : processes_)
    if (dice_.chance(95)) bytes[id] = process.size + static_cast<std::uint64_t>(dice_.between(0, 5));
  if (dice_.chance(60)) measured(bytes);
  else later(Time{dice_.between(0, 15)}, [this, bytes] { measured(bytes); });
}

void World::measured(const std::map<WorkerId, std::uint64_t>& bytes) {
  rules_.measured(bytes);
  tell(Cause::measured, "measured", 0, [&] { return engine_.measured(now_, bytes); });
}

void World::obey(const Prepare&) {
  const unsigned number = ++preparation_;
  if (!calm_ && dice_.chance(plan_.prepare_hangs)) return;
  const bool fails = !calm_ && dice_.chance(plan_.prepare_fails);
  // Some preparations end after the engine has cancelled them.
  later(Time{dice_.between(0, dice_.chance(20) ? 120 : 20)},
        [this, number, fails] { end_preparation(number, fails); });
}

void World::end_preparation(unsigned number, bool fails) {
  if (number != preparation_) return;
  ++preparation_;
  if (fails && dice_.chance(50)) {
    tell(Cause::prepare_failed, "unfit", 0, [&] { return engine_.unfit(now_, "no such file"); });
    return;
  }
  if (fails) {
    tell(Cause::prepare_failed, "prepare failed", 0,
         [&] { return engine_.prepare_failed(now_, "the preparation failed"); });
    return;
  }
  const Release release = any_release();
  rules_.prepared(release);
  tell(Cause::prepared, "prepared", 0, [&] { return engine_.prepared(now_, release); });
}

}  // namespace liveswap::rollout
