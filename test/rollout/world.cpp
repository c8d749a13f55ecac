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
  carry_out(commands);
  if (const auto due = engine_.next_deadline(); due && *due <= now_) return;
  // Whatever there was to decide has been decided: time alone, before the next deadline, changes nothing.
  if (!engine_.tick(now_).empty()) throw Violation("a tick with nothing due orders nothing");
}

void World::carry_out(const Commands& commands) {
  for (const Command& command : commands) std::visit([&](const auto& order) { obey(order); }, command);
  if (!commit_) return;
  const bool succeeds = *commit_;
  commit_.reset();
  if (succeeds)
    tell(Cause::committed, "committed", 0, [&] { return engine_.committed(now_); });
  else
    tell(Cause::commit_failed, "commit failed", 0,
         [&] { return engine_.commit_failed(now_, "no space left"); });
}

void World::obey(const Commit&) { commit_ = calm_ || !dice_.chance(plan_.commit_fails); }

void World::boot() {
  // A schedule is of little use when nothing ever runs.
  if (dice_.chance(90)) characters_["r0"] = Character::sound;
  rules_.wished(now_, Rules::Wish::boot, 0);
  tell(Cause::request, "boot", 0, [&] { return engine_.boot(now_, "r0"); });
}

void World::request_at(Time at, const Request& request) {
  ++requests_ahead_;
  later(at, [this, request] {
    --requests_ahead_;
    this->request(request);
  });
}

void World::request(const Request& request) {
  using Kind = Request::Kind;
  if (quit()) return;
  const RequestId id = ++last_request_;
  const auto wish = [&](Rules::Wish wish) { rules_.wished(now_, wish, id); };
  switch (request.kind) {
    case Kind::upgrade:
      wish(Rules::Wish::upgrade);
      tell(Cause::request, "upgrade", id, [&] { return engine_.upgrade(now_, id, "path"); });
      return;
    case Kind::kill:
      wish(Rules::Wish::kill);
      tell(Cause::request, "kill", id, [&] { return engine_.kill(now_, id); });
      return;
    case Kind::forks:
      wish(Rules::Wish::forks);
      tell(Cause::request, "forks", request.forks, [&] { return engine_.forks(now_, id, request.forks); });
      return;
    case Kind::stop:
      wish(Rules::Wish::stop);
      tell(Cause::request, "stop", id, [&] { return engine_.stop(now_, id, false); });
      return;
    case Kind::die:
      wish(Rules::Wish::die);
      tell(Cause::request, "die", id, [&] { return engine_.stop(now_, id, true); });
      return;
  }
}

void World::obey(const Prepare&) {
  const unsigned hook = ++hook_;
  if (!calm_ && dice_.chance(plan_.hook_hangs)) return;
  const bool fails = !calm_ && dice_.chance(plan_.hook_fails);
  // Some come too late: then it has been cancelled.
  later(Time{dice_.between(0, dice_.chance(20) ? 120 : 20)}, [this, hook, fails] { end_hook(hook, fails); });
}

void World::end_hook(unsigned hook, bool fails) {
  if (hook != hook_) return;
  ++hook_;
  if (fails) {
    tell(Cause::prepare_failed, "prepare failed", 0,
         [&] { return engine_.prepare_failed(now_, "the hook failed"); });
    return;
  }
  // Now and then somebody upgrades to what is there already.
  const bool same = dice_.chance(10);
  const std::string release = same ? engine_.release() : "r" + std::to_string(++releases_);
  tell(Cause::prepared, "prepared", 0, [&] { return engine_.prepared(now_, release); });
}

}  // namespace liveswap::rollout
