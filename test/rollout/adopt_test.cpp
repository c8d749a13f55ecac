#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

constexpr Time soon{50'000};

// A new engine with the facts of the script's; what it orders at once.
Commands adopt(Engine& fresh, const Script& script) { return fresh.adopt(soon, script.engine().facts()); }

}  // namespace

TEST_CASE("adopt: a new engine goes on with the workers that exist, and orders nothing") {
  const Script script = Script::booted(settings(2));
  REQUIRE(script.engine().is_at_rest());
  Engine fresh(settings(1));
  CHECK(adopt(fresh, script).empty());
  CHECK(fresh.fork_count() == 2);
  CHECK(fresh.generation() == 1);
  CHECK(fresh.release() == script.engine().release());
  CHECK(fresh.running());
  CHECK(fresh.unserved_slots().empty());
  CHECK(fresh.workers().size() == 2);
  CHECK(fresh.next_deadline() == script.engine().next_deadline());
}

TEST_CASE("adopt: numbers of workers and generations are not used again") {
  Script script = Script::booted(settings(1));
  script.crashed(1);
  script.ready(2);
  Engine fresh(settings(1));
  CHECK(adopt(fresh, script).empty());
  const auto commands = fresh.exited(soon, 2, {"run", "killed by SIGSEGV", false});
  unsigned spawned = 0;
  for (const auto& command : commands)
    if (const auto* spawn = std::get_if<Spawn>(&command)) {
      CHECK(spawn->worker == 3);
      CHECK(spawn->generation == 1);
      ++spawned;
    }
  // The second death in a row waits.
  CHECK(spawned == 0);
  CHECK(fresh.next_deadline().has_value());
  CHECK(fresh.slots()[0].restarts == 2);
}

TEST_CASE("adopt: a slot without a worker gets one") {
  const Script script = Script::booted(settings(2));
  auto facts = script.engine().facts();
  facts.workers.pop_back();
  Engine fresh(settings(2));
  const auto commands = fresh.adopt(soon, facts);
  REQUIRE(!commands.empty());
  const auto* spawn = std::get_if<Spawn>(&commands.front());
  REQUIRE(spawn);
  CHECK(spawn->slot == 1);
  CHECK(spawn->worker == 3);
}

TEST_CASE("adopt: a draining worker goes on draining, and is ended by force at its limit") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  script.ready(2);
  script.committed();
  Engine& engine = const_cast<Engine&>(script.engine());
  CHECK(!engine.unrest());
  CHECK(!engine.is_at_rest());  // the answer waits
  const auto answers = engine.answer_early(Time{0});
  REQUIRE(answers.size() == 1);
  const auto* answer = std::get_if<Answer>(&answers.front());
  REQUIRE(answer);
  CHECK(answer->request == 7);
  CHECK(answer->verdict == Verdict::ok);
  CHECK(
      answer->text ==
      "generation 2 serves in 1 slot; workers that it has replaced still drain (1): they are not waited for, "
      "since the master is re-executed");
  REQUIRE(engine.is_at_rest());
  Engine fresh(settings(1));
  CHECK(fresh.adopt(Time{1}, engine.facts()).empty());
  const auto due = fresh.next_deadline();
  REQUIRE(due == engine.next_deadline());
  REQUIRE(due.has_value());
  const auto commands = fresh.tick(*due);
  bool revoked = false;
  for (const auto& command : commands)
    if (const auto* revoke = std::get_if<Revoke>(&command)) revoked = revoke->worker == 1;
  CHECK(revoked);
}

TEST_CASE("adopt: liveness checks begin anew; that workers can answer is known") {
  auto with = settings(2);
  with.liveness_failures = 2;
  Script script = Script::booted(with);
  script.answered(1);
  script.unanswered(1);
  script.answered(2);
  script.unanswered(2);
  Engine fresh(with);
  CHECK(adopt(fresh, script).empty());
  CHECK(fresh.unserved_slots().empty());
  fresh.unanswered(soon, 1, "no answer");
  CHECK_FALSE(fresh.workers().at(1).liveness.is_hung);
  fresh.unanswered(soon, 1, "no answer");
  CHECK(fresh.workers().at(1).liveness.is_hung);
}

TEST_CASE("adopt: what is under way keeps the engine from being at rest") {
  Script script(settings(1));
  CHECK(script.engine().unrest() == "the master is still starting");
  script = Script::booted(settings(1));
  script.upgrade(7);
  CHECK(script.engine().unrest().value_or("").starts_with("an upgrade"));
  script = Script::booted(settings(1));
  script.crashed(1);
  CHECK(script.engine().unrest() == "a worker is starting in slot 0");
  script = Script::booted(settings(1));
  script.stop(9);
  CHECK(script.engine().unrest() == "the master is stopping");
}

// A connection may keep the worker of a removed slot for the whole drain limit.
TEST_CASE("adopt: the drain of a removed slot goes on, and the slot is closed at its end") {
  auto with = settings(3);
  with.unsteer = Time{200};
  Script script = Script::booted(with);
  script.forks(7, 1);
  CHECK(script.engine().unrest() == "a change of forks is under way");
  script.pass(Time{200});
  Engine& engine = const_cast<Engine&>(script.engine());
  CHECK(!engine.unrest());
  CHECK(!engine.is_at_rest());  // the answer waits
  const auto answers = engine.answer_early(Time{200});
  REQUIRE(answers.size() == 1);
  const auto* answer = std::get_if<Answer>(&answers.front());
  REQUIRE(answer);
  CHECK(answer->request == 7);
  CHECK(answer->verdict == Verdict::ok);
  CHECK(answer->text ==
        "1 worker is left; workers of removed slots still drain (2): they are not waited for, since the "
        "master is re-executed");
  REQUIRE(engine.is_at_rest());
  Engine fresh(settings(1));
  CHECK(fresh.adopt(Time{201}, engine.facts()).empty());
  CHECK(fresh.next_deadline() == engine.next_deadline());
  CHECK(fresh.exited(Time{300}, 2, {"run", "", true}).size() == 1);  // the note
  bool is_closed = false;
  for (const auto& command : fresh.exited(Time{301}, 3, {"run", "", true}))
    if (const auto* close = std::get_if<CloseSlots>(&command)) is_closed = close->slots == 1;
  CHECK(is_closed);
  CHECK(fresh.slots().size() == 1);
}

namespace {

// The commands of that kind.
template <class Kind>
std::vector<Kind> only(const Commands& commands) {
  std::vector<Kind> found;
  for (const auto& command : commands)
    if (const auto* one = std::get_if<Kind>(&command)) found.push_back(*one);
  return found;
}

}  // namespace

TEST_CASE("adopt: an upgrade whose master was killed reverts by the ordinary rules") {
  Script script = Script::booted(settings(2));
  script.upgrade(7);
  script.prepared("B");
  script.ready(3);
  REQUIRE(script.engine().goal_generation() == 2);
  const auto facts = script.engine().facts();
  REQUIRE(facts.unfinished);
  Engine fresh(settings(2));
  const auto commands = fresh.adopt(soon, facts);
  CHECK(fresh.reverting());
  CHECK(fresh.release() == script.engine().release());
  // Slot 0 has the new code only; the successor of slot 1 has just been started.
  const auto spawns = only<Spawn>(commands);
  REQUIRE(spawns.size() == 1);
  CHECK(spawns[0].slot == 0);
  CHECK(spawns[0].release == fresh.release());
  fresh.entered(soon, spawns[0].worker, true);
  const auto ready = fresh.ready(soon, spawns[0].worker);
  const auto drains = only<Drain>(ready);
  REQUIRE(drains.size() == 1);
  CHECK(drains[0].worker == 3);
  fresh.exited(soon, 1, {"run", "exit status 0", true});
  fresh.exited(soon, 3, {"run", "exit status 0", true});
  const auto over = fresh.exited(soon, 4, {"run", "killed by SIGKILL", false});
  const auto answers = only<Answer>(over);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].request == 7);
  CHECK(answers[0].verdict == Verdict::reverted);
  CHECK(answers[0].text.starts_with("the master was killed during the upgrade"));
  CHECK(fresh.running());
}

TEST_CASE("adopt: an upgrade that has reached HEAD is committed") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  script.ready(2);
  const auto facts = script.engine().facts();
  REQUIRE(facts.unfinished);
  Engine fresh(settings(1));
  const auto commands = fresh.adopt(soon, as_head_says(facts, facts.unfinished->release));
  CHECK(fresh.running());
  CHECK(fresh.generation() == 2);
  CHECK(fresh.release() == facts.unfinished->release);
  CHECK(only<Spawn>(commands).empty());
  const auto answers = only<Answer>(commands);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].verdict == Verdict::ok);
  // HEAD says what was committed before: nothing has changed.
  CHECK(as_head_says(facts, facts.release).unfinished.has_value());
}

TEST_CASE("adopt: an answer that waited for drains still comes") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  script.ready(2);
  script.committed();
  const auto facts = script.engine().facts();
  CHECK(!facts.unfinished);
  REQUIRE(facts.decided.size() == 1);
  Engine fresh(settings(1));
  CHECK(only<Answer>(fresh.adopt(soon, facts)).empty());
  const auto answers = only<Answer>(fresh.exited(soon, 1, {"run", "exit status 0", true}));
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].request == 7);
  CHECK(answers[0].verdict == Verdict::ok);
}

TEST_CASE("adopt: a flip whose master was killed is completed, and then reverted") {
  Pace pace;
  pace.flip = true;
  Script script = Script::booted(settings(1));
  script.roll(7, pace);
  script.ready(2);
  auto facts = script.engine().facts();
  REQUIRE(facts.unfinished);
  CHECK(facts.unfinished->flip);
  // The old worker's sockets get no connections any more.
  for (auto& worker : facts.workers) worker.staged = worker.id == 1;
  Engine fresh(settings(1));
  CHECK(only<Drain>(fresh.adopt(soon, facts)).empty());
  CHECK(std::string(fresh.phase()) == "flipping");
  const auto commands = fresh.flipped(soon);
  CHECK(only<Drain>(commands).size() == 1);
  CHECK(only<Spawn>(commands).size() == 1);
  CHECK(fresh.reverting());
}

TEST_CASE("adopt: before a flip the successors, which have no connections, are given up") {
  Pace pace;
  pace.flip = true;
  Script script = Script::booted(settings(2));
  script.roll(7, pace);
  script.ready(3);
  const auto facts = script.engine().facts();
  Engine fresh(settings(2));
  const auto commands = fresh.adopt(soon, facts);
  CHECK(only<Spawn>(commands).empty());
  CHECK(only<Drain>(commands).size() + only<Signal>(commands).size() == 2);
  CHECK(fresh.unserved_slots().empty());
}

TEST_CASE("adopt: a worker of the committed generation that is starting becomes ready") {
  Script script = Script::booted(settings(2));
  script.crashed(1);
  const auto facts = script.engine().facts();
  REQUIRE(facts.workers.size() == 2);
  REQUIRE(facts.workers[1].state == WorkerState::starting);
  Engine fresh(settings(2));
  CHECK(fresh.adopt(soon, facts).empty());
  CHECK(fresh.unserved_slots() == std::set<unsigned>{0});
  CHECK(only<Spawn>(fresh.ready(soon, 3)).empty());
  CHECK(fresh.unserved_slots().empty());
  CHECK(fresh.workers().at(3).state == WorkerState::ready);
}

// Its frames may have been lost with the former master.
TEST_CASE("adopt: a starting worker that does not become ready is drained at its limit, which begins anew") {
  Script script = Script::booted(settings(1));
  script.crashed(1);
  auto facts = script.engine().facts();
  facts.workers[0].deadline = Time{1};
  Engine fresh(settings(1));
  CHECK(fresh.adopt(soon, facts).empty());
  const auto limit = fresh.next_deadline();
  REQUIRE(limit);
  CHECK(*limit == soon + settings(1).ready_limit);
  const auto commands = fresh.tick(*limit);
  const auto drains = only<Drain>(commands);
  REQUIRE(drains.size() == 1);
  CHECK(drains[0].worker == 2);
  CHECK(only<Signal>(commands).empty());
}

TEST_CASE("adopt: the starting successor of a worker that has hung is given up") {
  Script script = Script::booted(settings(1));
  auto facts = script.engine().facts();
  Engine::Worker successor = facts.workers[0];
  successor.id = facts.last_worker = 2;
  successor.state = WorkerState::starting;
  facts.workers.push_back(successor);
  Engine fresh(settings(1));
  const auto drains = only<Drain>(fresh.adopt(soon, facts));
  REQUIRE(drains.size() == 1);
  CHECK(drains[0].worker == 2);
}
