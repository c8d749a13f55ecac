#include <doctest/doctest.h>

#include <string>

#include "script.hpp"

using namespace liveswap::rollout;

// A stop, a die or a kill in the middle of an upgrade, in each of its phases.
namespace {

struct Phase {
  const char* name;
  unsigned workers;  // the number of workers in that phase
  Script script;
};

Script at_pace(const Pace& pace) {
  auto with = settings(2);
  with.max_memory = 1 << 30;
  Script script = Script::booted(with);
  script.measured({});
  script.upgrade(7, file(pace));
  return script;
}

Script prepared(const Pace& pace) {
  Script script = at_pace(pace);
  script.prepared("B");
  return script;
}

Script rolling(const Pace& pace) {
  Script script = prepared(pace);
  script.measured({{1, 1}, {2, 1}});
  return script;
}

Script baking() {
  Pace pace;
  pace.canary = {1, false};
  Script script = rolling(pace);
  script.ready(3);
  return script;
}

Script all_ready(Pace pace) {
  pace.batch = 2;
  Script script = rolling(pace);
  script.ready(3);
  script.measured({});
  script.ready(4);
  return script;
}

Pace flip() {
  Pace pace;
  pace.flip = true;
  return pace;
}

Pace on_probation(Pace pace = {}) {
  pace.probation = Time{1'000};
  return pace;
}

Script after_flip() {
  Script script = all_ready(on_probation(flip()));
  script.flipped();
  return script;
}

Script reverting() {
  Script script = after_flip();
  script.abort(9);
  return script;
}

std::vector<Phase> phases() {
  return {{"preparing", 2, at_pace({})},    {"rolling", 2, prepared({})},
          {"rolling", 3, rolling({})},      {"rolling", 3, rolling(flip())},
          {"baking", 3, baking()},          {"flipping", 4, all_ready(flip())},
          {"probation", 4, after_flip()},   {"probation", 4, all_ready(on_probation())},
          {"committing", 4, all_ready({})}, {"reverting", 6, reverting()}};
}

// All workers exit, one after the other.
std::string all_leave(Script& script) {
  std::string said;
  while (!script.engine().workers().empty()) {
    const std::string more = script.crashed(script.engine().workers().begin()->first);
    if (!more.empty()) said += (said.empty() ? "" : ", ") + more;
  }
  return said;
}

}  // namespace

TEST_CASE("phases: each is what it is called, and has as many workers as expected") {
  for (const Phase& phase : phases()) {
    CAPTURE(phase.workers);
    CHECK(phase.script.engine().phase() == std::string(phase.name));
    CHECK(phase.script.engine().workers().size() == phase.workers);
  }
}

TEST_CASE("stop: in every phase of an upgrade, all leave and everybody is answered") {
  for (Phase& phase : phases()) {
    CAPTURE(phase.name);
    CAPTURE(phase.workers);
    const std::string said = phase.script.stop(10);
    CHECK(said.find("answer 7 failed") != std::string::npos);
    CHECK((said.find("cancel") == 0) == (phase.name == std::string("preparing")));
    CHECK((said.find("answer 9 failed") != std::string::npos) == (phase.name == std::string("reverting")));
    CHECK(said.find("spawn") == std::string::npos);
    CHECK(phase.script.prepared("B") == "");
    CHECK(phase.script.committed() == "");
    CHECK(phase.script.flipped() == "");
    CHECK(phase.script.measured({}) == "");
    CHECK(phase.script.probed(false) == "");
    CHECK(phase.script.promote(11) == "answer 11 refused");
    CHECK(phase.script.abort(12) == "answer 12 refused");
    CHECK(all_leave(phase.script) == "answer 10 ok, quit");
    CHECK(phase.script.next() == -1);
  }
}

TEST_CASE("die: in every phase of an upgrade, by force, whoever drains already too") {
  for (Phase& phase : phases()) {
    CAPTURE(phase.name);
    const std::string said = phase.script.die(10);
    unsigned termed = 0;
    for (std::size_t at = said.find("term "); at != std::string::npos; at = said.find("term ", at + 1))
      ++termed;
    CHECK(termed == phase.workers);
    CHECK(all_leave(phase.script) == "answer 10 ok, quit");
  }
}

TEST_CASE(
    "kill: in every phase of an upgrade that phase is the last one, and the committed release comes back") {
  for (Phase& phase : phases()) {
    CAPTURE(phase.name);
    Script& script = phase.script;
    const bool flipping = phase.name == std::string("flipping");
    const bool aborted = phase.name == std::string("reverting");
    const auto killed = script.engine().workers();
    script.kill(10);
    script.measured({});
    for (const auto& [id, worker] : killed) script.crashed(id);
    if (flipping) script.flipped();
    script.measured({});
    std::string said;
    for (int round = 0; round < 4; ++round)
      for (const auto& [id, worker] : std::map(script.engine().workers()))
        if (worker.state == WorkerState::starting) {
          CHECK(worker.release.id == "A");
          said += script.ready(id) + " " + script.measured({});
        }
    CHECK(said.find("answer 10 ok") != std::string::npos);
    CHECK((said.find("answer 9 ok") != std::string::npos) == aborted);
    CHECK(script.engine().state() == std::string("running"));
    CHECK(script.engine().release().id == "A");
    CHECK(script.engine().workers().size() == 2);
    CHECK(script.next() == -1);
  }
}
