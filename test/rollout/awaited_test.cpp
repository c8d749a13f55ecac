#include <doctest/doctest.h>

#include "rollout/awaited.hpp"
#include "rollout/engine.hpp"

using namespace liveswap::rollout;
using namespace std::chrono_literals;

namespace {

using Listeners = AwaitedListeners::Listeners;
using Progress = AwaitedListeners::Progress;
using Place = AwaitedListeners::Place;

const Listeners none, admin{{"a", "admin"}}, port{{"m", "main"}}, both{{"a", "admin"}, {"m", "main"}};

constexpr AwaitedListeners::Limits limits{.settle = 100ms, .drop_after = 10s};

Place place(unsigned slot, Generation generation, const std::string& release) {
  return {slot, generation, release};
}

// The worker waits on `listeners`. It has bound these, and `also`.
Progress waits_on(const Listeners& listeners, std::set<std::string> also = {}) {
  Progress progress;
  progress.waits = listeners;
  progress.bound = std::move(also);
  for (const auto& [key, name] : listeners) progress.bound.insert(key);
  progress.any = true;
  return progress;
}

}  // namespace

TEST_CASE(
    "awaited: the first start waits for any listener, and until no other has come for the settle time") {
  AwaitedListeners awaited(limits);
  const Place first = place(0, 1, "A");
  auto outlook = awaited.look(50s, first, waits_on(none));
  CHECK_FALSE(outlook.ready);
  CHECK_FALSE(outlook.next.has_value());
  CHECK(outlook.awaits.text == "it did not yet wait on any listener");
  CHECK(outlook.awaits.advice.find("--no-await-listener") != std::string::npos);
  Progress progress = waits_on(admin);
  progress.since = 1s;
  outlook = awaited.look(1099ms, first, progress);
  CHECK_FALSE(outlook.ready);
  CHECK(outlook.next == 1100ms);
  CHECK(awaited.look(1100ms, first, progress).ready);
  Progress own;
  own.waits_elsewhere = own.any = true;
  CHECK(awaited.look(100ms, first, own).ready);
  CHECK_FALSE(awaited.look(100s, first, Progress{}).ready);  // the engine judges the settle time
  Progress lent;
  lent.waits = port;
  lent.since = 1s;
  CHECK_FALSE(awaited.look(1001ms, first, lent).ready);
  lent.all_lent = true;
  CHECK(awaited.look(1001ms, first, lent).ready);
}

TEST_CASE(
    "awaited: a successor that waits already does not take over before it has survived its settle time") {
  AwaitedListeners awaited(limits);
  awaited.serves(0s, place(0, 1, "A"), port);
  Progress progress = waits_on(port);
  progress.settled = 1100ms;
  const auto outlook = awaited.look(1001ms, place(0, 2, "B"), progress);
  CHECK_FALSE(outlook.ready);
  CHECK(outlook.next == 1100ms);
  CHECK(awaited.look(1100ms, place(0, 2, "B"), progress).ready);
}

TEST_CASE("awaited: a successor waits on all that its predecessor served, and then is ready at once") {
  AwaitedListeners awaited(limits);
  awaited.serves(0s, place(0, 1, "A"), both);
  const Place next = place(0, 2, "B");
  auto outlook = awaited.look(1s, next, waits_on(admin));
  CHECK_FALSE(outlook.ready);
  CHECK(outlook.awaits.text == "it did not yet wait on main, which generation 1 serves");
  outlook = awaited.look(1s, next, waits_on(none));
  CHECK(outlook.awaits.text == "it did not yet wait on admin and main, which generation 1 serves");
  CHECK(awaited.look(1s, next, waits_on(both)).ready);
}

TEST_CASE(
    "awaited: what is left out is dropped after its time, when it was never bound; once for all slots") {
  AwaitedListeners awaited(limits);
  for (const unsigned slot : {0u, 1u}) awaited.serves(0s, place(slot, 1, "A"), both);
  Progress progress = waits_on(admin);
  progress.since = 5s;
  auto outlook = awaited.look(14'999ms, place(0, 2, "B"), progress);
  CHECK_FALSE(outlook.ready);
  CHECK(outlook.next == 15s);
  outlook = awaited.look(15s, place(0, 2, "B"), progress);
  CHECK(outlook.ready);
  CHECK(outlook.dropped == std::vector<std::string>{"main"});
  outlook = awaited.look(15s, place(1, 2, "B"), progress);
  CHECK(outlook.ready);
  CHECK(outlook.dropped.empty());
  // The drop does not count for the next generation.
  CHECK_FALSE(awaited.look(15s, place(1, 3, "C"), waits_on(none)).ready);
}

TEST_CASE("awaited: what was bound, or lent, is never dropped, and nothing by a worker that waits on none") {
  AwaitedListeners awaited(limits);
  awaited.serves(0s, place(0, 1, "A"), both);
  auto outlook = awaited.look(1h, place(0, 2, "B"), waits_on(admin, {"m"}));
  CHECK_FALSE(outlook.ready);
  CHECK_FALSE(outlook.next.has_value());
  CHECK(outlook.awaits.text.find("main") != std::string::npos);
  CHECK(outlook.awaits.advice.find("liveswap_ready()") != std::string::npos);
  CHECK_FALSE(awaited.look(1h, place(0, 2, "B"), waits_on(none)).ready);
}

TEST_CASE("awaited: what is replaced need not be waited for") {
  AwaitedListeners awaited(limits);
  awaited.serves(0s, place(0, 1, "A"), port);
  Progress progress = waits_on({{"other", "0.0.0.0:80"}});
  CHECK_FALSE(awaited.look(1s, place(0, 2, "B"), progress).ready);
  progress.replaced = {"m"};
  CHECK(awaited.look(1s, place(0, 2, "B"), progress).ready);
}

TEST_CASE("awaited: code that comes back serves what it served before") {
  AwaitedListeners awaited(limits);
  awaited.serves(0s, place(0, 1, "A"), both);
  awaited.serves(10s, place(0, 2, "B"), admin);
  // A respawn of B, the revert to A, a rollback to A as another generation, and new code C.
  CHECK(awaited.duty_of(place(0, 2, "B")).listeners == admin);
  CHECK(awaited.duty_of(place(0, 1, "A")).listeners == both);
  CHECK(awaited.duty_of(place(0, 3, "A")).listeners == both);
  CHECK(awaited.duty_of(place(0, 3, "C")).listeners == admin);
  const auto outlook = awaited.look(5s, place(0, 1, "A"), waits_on(admin));
  CHECK(outlook.awaits.text == "it did not yet wait on main, which the previous worker served");
}

TEST_CASE("awaited: a slot has listeners of its own, a new one what all have") {
  AwaitedListeners awaited(limits);
  awaited.serves(0s, place(0, 1, "A"), both);
  // At the first start, the other workers still have to show what they serve.
  CHECK(awaited.duty_of(place(1, 1, "A")).listeners.empty());
  awaited.serves(0s, place(1, 1, "A"), port);
  awaited.started();
  CHECK(awaited.duty_of(place(0, 2, "B")).listeners == both);
  CHECK(awaited.duty_of(place(1, 2, "B")).listeners == port);
  CHECK(awaited.duty_of(place(2, 1, "A")).listeners == port);
}

TEST_CASE("awaited: one that another slot has dropped is still awaited where this generation serves it") {
  AwaitedListeners awaited(limits);
  awaited.serves(0s, place(0, 1, "A"), both);
  awaited.serves(0s, place(1, 1, "A"), port);
  awaited.started();
  awaited.serves(0s, place(2, 1, "A"), both);
  // A new slot drops what its siblings have dropped.
  CHECK(awaited.look(1h, place(0, 2, "B"), waits_on(admin)).dropped == std::vector<std::string>{"main"});
  awaited.serves(1h, place(1, 2, "B"), port);
  Progress progress = waits_on({{"x", "x"}});
  progress.since = 1h;
  CHECK_FALSE(awaited.look(1h, place(1, 2, "B"), progress).ready);
}

TEST_CASE("awaited: what is closed counts for a moment yet, and not after that") {
  AwaitedListeners awaited(limits);
  const Place one = place(0, 1, "A");
  awaited.serves(0s, one, both);
  awaited.serves(1s, one, none);  // the worker ends, and closes its listeners first
  CHECK(awaited.duty_of(one).listeners == both);
  awaited.serves(2s, one, admin);
  CHECK(awaited.duty_of(one).listeners == both);
  awaited.serves(3s, one, admin);
  CHECK(awaited.duty_of(one).listeners == admin);
}

// Closed by a reload, or dropped by the application that had bound it.
TEST_CASE("awaited: a listener that is closed is not awaited any more, of no release and in no slot") {
  AwaitedListeners awaited(limits);
  for (const unsigned slot : {0U, 1U}) {
    awaited.serves(0s, place(slot, 1, "A"), both);
    awaited.serves(1s, place(slot, 2, "B"), both);
  }
  awaited.started();
  CHECK_FALSE(awaited.look(2s, place(0, 3, "A"), waits_on(port)).ready);
  CHECK_FALSE(awaited.look(2s, place(2, 3, "C"), waits_on(port)).ready);
  awaited.forget("a");
  CHECK(awaited.look(2s, place(0, 3, "A"), waits_on(port)).ready);
  CHECK(awaited.look(2s, place(1, 3, "B"), waits_on(port)).ready);
  CHECK(awaited.look(2s, place(2, 3, "C"), waits_on(port)).ready);
  CHECK(awaited.duty_of(place(0, 3, "B")).listeners == port);
}

// It counts for a moment yet: but not if it has been closed.
TEST_CASE("awaited: a listener that a worker has just left and that is closed is not awaited") {
  AwaitedListeners awaited(limits);
  awaited.serves(0s, place(0, 1, "A"), both);
  awaited.serves(1s, place(0, 1, "A"), port);
  CHECK_FALSE(awaited.look(1s, place(0, 2, "B"), waits_on(port)).ready);
  awaited.forget("a");
  CHECK(awaited.look(1s, place(0, 2, "B"), waits_on(port)).ready);
  awaited.serves(1001ms, place(0, 1, "A"), port);
  CHECK(awaited.duty_of(place(0, 2, "B")).listeners == port);
}

TEST_CASE("awaited: not every release is remembered") {
  AwaitedListeners awaited(limits);
  for (const std::string release : {"A", "B", "C", "D", "E"})
    awaited.serves(0s, place(0, 1, release), Listeners{{release, release}});
  CHECK(awaited.duty_of(place(0, 9, "B")).listeners.contains("B"));
  CHECK(awaited.duty_of(place(0, 9, "A")).listeners.contains("E"));
}

namespace {

std::string failure_in(const Commands& commands) {
  for (const auto& command : commands)
    if (const auto* note = std::get_if<Note>(&command); note && note->kind == NoteKind::failed)
      return note->text;
  return "";
}

Engine one_starting(const Awaits& awaits) {
  Settings settings;
  settings.forks = 1;
  Engine engine(settings);
  UpgradeRequest wish;
  wish.release = Release{"a.so", "A"};
  engine.boot(0s, wish);
  engine.entered(0s, 1, true);
  engine.awaits(0s, 1, awaits);
  return engine;
}

}  // namespace

TEST_CASE("awaited: a failure before readiness says what was missing") {
  const Awaits awaits{"it did not yet wait on X", "do this"};
  auto died = one_starting(awaits);
  CHECK(failure_in(died.exited(1s, 1, {"start", "exit status 1", false})) ==
        "slot 0, stage start: exit status 1; it did not yet wait on X");
  auto returned = one_starting(awaits);
  CHECK(failure_in(returned.returned(1s, 1, "it returned")) ==
        "slot 0, stage start: it returned; it did not yet wait on X");
  auto late = one_starting(awaits);
  CHECK(failure_in(late.tick(30s)) ==
        "slot 0, stage ready: it was not ready within 30000 ms; it did not yet wait on X: do this");
  auto ready = one_starting(awaits);
  ready.ready(1s, 1);
  CHECK(failure_in(ready.exited(2s, 1, {"start", "exit status 1", false})) ==
        "slot 0, stage run: exit status 1");
}
