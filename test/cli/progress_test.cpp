#include "cli/progress.hpp"

#include <doctest/doctest.h>

#include "cli/printable.hpp"

using namespace liveswap::cli;
using namespace std::chrono_literals;

namespace {

void take(Progress& progress, std::initializer_list<const char*> events) {
  for (const char* event : events) progress.take(event);
}

std::string line_of(const char* event) { return Progress().take(event).line; }

Progress half_way() {
  Progress progress;
  take(progress,
       {R"({"event":"started","slots":2,"generation":2})", R"({"event":"spawned","slot":0,"pid":10})",
        R"({"event":"ready","slot":0,"pid":10})", R"({"event":"draining","slot":0,"pid":1})",
        R"({"event":"connections","pid":1,"open":17})"});
  return progress;
}

}  // namespace

TEST_CASE("a line an event") {
  CHECK(line_of(R"({"event":"started","generation":2,"slots":2,"release":"/v2.so"})") ==
        "generation 2, 2 slots: /v2.so");
  CHECK(line_of(R"({"event":"spawned","slot":1,"pid":4711})") == "slot 1: worker 4711 started");
  CHECK(line_of(R"({"event":"ready","slot":1,"pid":4711,"ms":104})") ==
        "slot 1: worker 4711 is ready after 104 ms");
  CHECK(line_of(R"({"event":"draining","slot":1,"pid":5})") == "slot 1: worker 5 drains");
  CHECK(line_of(R"({"event":"connections","pid":5,"open":1})") == "worker 5 has 1 connection left");
  CHECK(line_of(R"({"event":"gone","slot":1,"pid":5,"exit":"0"})") == "slot 1: worker 5 has gone");
  CHECK(line_of(R"({"event":"gone","slot":1,"pid":5,"exit":"SIGKILL"})") ==
        "slot 1: worker 5 has gone, exit SIGKILL");
  CHECK(line_of(R"({"event":"failed","slot":1,"pid":5,"text":"open: no"})") == "worker 5 failed: open: no");
  CHECK(line_of(R"({"event":"committed","release":"/v2.so"})") == "committed: /v2.so");
  CHECK(line_of(R"({"event":"reverting","text":"why"})") == "reverting: why");
  CHECK(line_of(R"({"event":"dropped","slot":0,"pid":5,"listener":"127.0.0.1:80"})") ==
        "slot 0: worker 5 leaves out 127.0.0.1:80");
}

TEST_CASE("workers that do not answer") {
  CHECK(line_of(R"({"event":"silent","slot":1,"pid":5,"text":"connect: no"})") ==
        "slot 1: worker 5 does not answer: connect: no");
  CHECK(line_of(R"({"event":"answering","slot":1,"pid":5})") == "slot 1: worker 5 answers again");
  CHECK(line_of(R"({"event":"hung","slot":1,"pid":5,"text":"slot 1, stage run: it hangs"})") ==
        "worker 5 hangs: slot 1, stage run: it hangs");
}

TEST_CASE("events that are not known, or no events, are passed over") {
  for (const char* event : {"", "[]", "{}", R"({"event":7})", R"({"event":"new","slot":"x"})"})
    CHECK(line_of(event).empty());
}

TEST_CASE("bake, probation and flip") {
  CHECK(line_of(R"({"event":"baking","left_ms":30000})") == "baking: 30.0 s left");
  CHECK(line_of(R"({"event":"probation"})") == "probation");
  CHECK(line_of(R"({"event":"queued","text":"one runs"})") == "queued: one runs");
  CHECK(line_of(R"({"event":"flipped"})") == "flipped: new connections go to the new code");
  Progress progress;
  take(progress, {R"({"event":"started","slots":2})", R"({"event":"baking","left_ms":5})"});
  CHECK(progress.bar(20, 0ms, false).starts_with("baking"));
  progress.take(R"({"event":"spawned","slot":1,"pid":3})");
  CHECK(progress.bar(20, 0ms, false).starts_with("upgrading"));
}

TEST_CASE("trouble is marked") {
  CHECK(Progress().take(R"({"event":"failed"})").trouble);
  CHECK(Progress().take(R"({"event":"forced"})").trouble);
  CHECK_FALSE(Progress().take(R"({"event":"gone"})").trouble);
}

TEST_CASE("what a failed worker wrote last is said once") {
  Progress progress;
  const char* const text = R"("text":"slot 0: died\nit wrote last:\n    oh \u001b[1m")";
  CHECK(progress.take("{\"event\":\"failed\",\"pid\":7," + std::string(text) + "}").line ==
        "worker 7 failed: slot 0: died\nit wrote last:\n    oh \\x1b[1m");
  CHECK(progress.take("{\"event\":\"reverting\"," + std::string(text) + "}").line ==
        "reverting: slot 0: died");
}

TEST_CASE("control characters of the master do not reach the terminal") {
  CHECK(line_of(R"({"event":"failed","pid":5,"text":"\u001b[2J\u009b"})") ==
        "worker 5 failed: \\x1b[2J\\x9b");
}

TEST_CASE("the bar at the beginning, half way and at the end") {
  CHECK(Progress().bar(80, 0ms, false) == "upgrading [------------------------------] 0 ms");
  auto progress = half_way();
  CHECK(progress.bar(80, 1200ms, false) ==
        "upgrading [####------------] 1/2 slots, 1 worker draining, 17 connections, 1.2 s");
  take(progress, {R"({"event":"gone","slot":0,"pid":1})", R"({"event":"spawned","slot":1,"pid":11})",
                  R"({"event":"ready","slot":1,"pid":11})", R"({"event":"draining","slot":1,"pid":2})",
                  R"({"event":"committed"})", R"({"event":"gone","slot":1,"pid":2})"});
  CHECK(progress.bar(80, 2s, false) == "draining [##############################] 2/2 slots, 2.0 s");
}

TEST_CASE("a successor that leaves is no progress") {
  auto progress = half_way();
  const auto before = progress.bar(80, 0ms, false);
  progress.take(R"({"event":"gone","slot":1,"pid":10})");
  CHECK(progress.bar(80, 0ms, false) == before);
}

TEST_CASE("a revert counts the slots that were switched") {
  auto progress = half_way();
  progress.take(R"({"event":"reverting","text":"why"})");
  CHECK(progress.bar(80, 0ms, false).substr(0, 11) == "reverting [");
  CHECK(progress.bar(80, 0ms, false).find("0/1 slots") != std::string::npos);
  take(progress, {R"({"event":"spawned","slot":0,"pid":12})", R"({"event":"ready","slot":0,"pid":12})",
                  R"({"event":"gone","slot":0,"pid":1})", R"({"event":"gone","slot":0,"pid":10})"});
  CHECK(progress.bar(60, 0ms, false) == "reverting [##############################] 1/1 slots, 0 ms");
}

TEST_CASE("no line is wider than the terminal") {
  const auto progress = half_way();
  for (std::size_t width = 0; width < 120; ++width) {
    CAPTURE(width);
    CHECK(columns(progress.bar(width, 1200ms, false)) <= width);
  }
  CHECK(progress.bar(70, 1200ms, false) == "upgrading 1/2 slots, 1 worker draining, 17 connections, 1.2 s");
  CHECK(progress.bar(40, 1200ms, false) == "upgrading 1/2 slots, 1 worker draining");
  CHECK(progress.bar(22, 1200ms, false) == "upgrading 1/2 slots");
  CHECK(progress.bar(12, 1200ms, false) == "upgrading 1/");
  CHECK(progress.bar(0, 1200ms, false).empty());
}

TEST_CASE("colour changes nothing but colour") {
  auto line = half_way().bar(80, 1200ms, true);
  for (const std::string code : {"\x1b[32m", "\x1b[0m"}) {
    REQUIRE(line.find(code) != std::string::npos);
    line.erase(line.find(code), code.size());
  }
  CHECK(line == half_way().bar(80, 1200ms, false));
}
