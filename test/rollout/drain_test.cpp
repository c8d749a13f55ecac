#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

// Worker 1 drains because worker 2 has replaced it.
Script draining(Settings with = settings(1)) {
  Script script = Script::booted(with);
  script.upgrade(7);
  script.prepared("B");
  script.ready(2);
  script.committed();
  return script;
}

}  // namespace

TEST_CASE("drain: force comes in steps, and the answer says so") {
  auto with = settings(1);
  with.drain_limit = Time{60'000};
  with.term_grace = Time{2'000};
  Script script = draining(with);
  CHECK(script.pass(Time{100'000}) == "+60000 revoke 1, +62000 term 1, +64000 kill 1");
  CHECK(script.next() == -1);
  CHECK(script.crashed(1) == "answer 7 ok");
  CHECK(script.answer_text() ==
        "generation 2 serves in 1 slot; the worker of generation 1 in slot 0 did not drain within its limit "
        "and was "
        "ended by force (killed by SIGSEGV)");
}

TEST_CASE("drain: a worker that leaves at a step is spared the next one") {
  Script script = draining();
  CHECK(script.pass(Time{60'000}) == "+60000 revoke 1");
  CHECK(script.returned(1) == "answer 7 ok");
  CHECK(script.pass(Time{100'000}) == "");
}

TEST_CASE("drain: a death while draining is no failure of the upgrade, but is told") {
  Script script = draining();
  CHECK(script.crashed(1) == "answer 7 ok");
  CHECK(script.answer_text() ==
        "generation 2 serves in 1 slot; the worker of generation 1 in slot 0 died while it drained (killed "
        "by SIGSEGV)");
}

TEST_CASE("drain: the default action of SIGTERM, with nothing open, is a clean end") {
  Script script = draining();
  CHECK(script.ended_by_sigterm(1, true) == "answer 7 ok");
  CHECK(script.answer_text() == "generation 2 serves in 1 slot");
  CHECK(script.parting() == Parting::clean);
}

TEST_CASE("drain: SIGTERM with connections open was sent by somebody else") {
  Script script = draining();
  CHECK(script.ended_by_sigterm(1, false) == "answer 7 ok");
  CHECK(script.answer_text() ==
        "generation 2 serves in 1 slot; the worker of generation 1 in slot 0 died while it drained (killed "
        "by SIGTERM)");
  CHECK(script.parting() == Parting::crashed);
}

TEST_CASE("drain: SIGTERM of a worker that was not told to leave is a failure") {
  Script script = Script::booted(settings(1));
  CHECK(script.ended_by_sigterm(1, true) == "spawn 2 in 0: A");
  CHECK(script.parting() == Parting::crashed);
}

TEST_CASE("drain: a file that an old worker has removed is told when it has been made again") {
  Script script = draining();
  CHECK(script.files({{"listener a: made again"}, {}}) == "");
  CHECK(script.files({{"listener a: made again"}, {}}) == "");
  CHECK(script.returned(1) == "answer 7 ok");
  CHECK(script.answer_text() == "generation 2 serves in 1 slot; listener a: made again");
}

TEST_CASE("drain: where a file cannot be made again, the upgrade is no success") {
  Script script = draining();
  script.files({{}, {"listener a: another file is there"}});
  CHECK(script.returned(1) == "answer 7 unreachable");
  CHECK(script.answer_text() ==
        "generation 2 serves in 1 slot, but nobody can connect to all of its listeners; "
        "listener a: another file is there");
}

TEST_CASE("drain: a file that is back in its place when the upgrade is answered is none to speak of") {
  Script script = draining();
  script.files({{}, {"listener a: another file is there"}});
  script.files({{}, {}});
  CHECK(script.returned(1) == "answer 7 ok");
  CHECK(script.answer_text() == "generation 2 serves in 1 slot");
}

TEST_CASE("drain: what happens to a file before the commit is told as well") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  script.files({{"listener a: made again"}, {}});
  script.ready(2);
  script.committed();
  CHECK(script.returned(1) == "answer 7 ok");
  CHECK(script.answer_text() == "generation 2 serves in 1 slot; listener a: made again");
}

TEST_CASE("drain: SIGTERM as a step of force stays an end by force") {
  Script script = draining();
  script.pass(Time{62'000});
  CHECK(script.ended_by_sigterm(1, true) == "answer 7 ok");
  CHECK(script.answer_text().find("ended by force (killed by SIGTERM)") != std::string::npos);
  CHECK(script.parting() == Parting::forced);
}

TEST_CASE("drain: connections of other processes that force cuts are no success") {
  Script script = draining();
  script.pass(Time{62'000});
  CHECK(script.ended_by_sigterm(1, false, 3) == "answer 7 cut");
  CHECK(script.answer_text().find("which cut 3 connections of processes that it had started") !=
        std::string::npos);
  CHECK(script.answer_text().find("let --forks start workers") != std::string::npos);
}

TEST_CASE("drain: the same while other slots have their turn") {
  auto with = settings(2);
  with.drain_limit = Time{100};
  Script script = Script::booted(with);
  script.upgrade(7);
  script.prepared("B");
  script.ready(3);
  script.pass(Time{300});
  script.ended_by_sigterm(1, false, 1);
  script.ready(4);
  script.committed();
  CHECK(script.returned(2) == "answer 7 cut");
  CHECK(script.answer_text().find("which cut 1 connection of processes") != std::string::npos);
}

TEST_CASE("drain: other processes may have connections when a worker leaves by itself") {
  Script script = draining();
  CHECK(script.ended_by_sigterm(1, true, 3) == "answer 7 ok");
}

TEST_CASE("drain: without a limit it is never forced") {
  auto with = settings(1);
  with.drain_limit.reset();
  Script script = Script::booted(with);
  script.upgrade(7);
  script.prepared("B");
  CHECK(script.ready(2) == "drain 1 without limit, commit B");
  script.committed();
  CHECK(script.next() == -1);
  CHECK(script.returned(1) == "answer 7 ok");
}

TEST_CASE("drain: a limit of nothing forces at once, step by step") {
  auto with = settings(1);
  with.drain_limit = Time{0};
  Script script = draining(with);
  CHECK(script.pass(Time{5'000}) == "+0 revoke 1, +2000 term 1, +4000 kill 1");
}

TEST_CASE("drain: drains overlap, each with its own limit") {
  Script script = Script::booted(settings(2));
  script.upgrade(7);
  script.prepared("B");
  script.ready(3);
  script.pass(Time{1'000});
  script.ready(4);
  script.committed();
  CHECK(script.pass(Time{60'000}) == "+59000 revoke 1, +60000 revoke 2");
}

TEST_CASE("drain: being ready, settling or deferring means nothing any more") {
  Script script = draining();
  CHECK(script.entered(1) == "");
  CHECK(script.ready(1) == "");
  CHECK(script.deferred(1) == "");
  CHECK(script.pass(Time{59'999}) == "");
  CHECK(script.pass(Time{1}) == "+1 revoke 1");
}
