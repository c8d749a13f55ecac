#include "release/recorder.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using liveswap::release::Recorder;
using liveswap::release::summary_of;
using liveswap::release::utc_text;
using Json = Recorder::Json;
using Role = Recorder::Role;
using End = Recorder::End;
using namespace std::chrono_literals;

namespace {

constexpr Recorder::Time start = 5000ms;

Recorder recorder(Json head = {{"kind", "upgrade"}}) {
  return {start, "2026-11-22T23:17:58.042Z", std::move(head)};
}

// Two slots; the old workers are 1 and 2, the new ones 11 and 12.
Recorder two_slots(Json head = {{"kind", "upgrade"}}) {
  auto made = recorder(std::move(head));
  made.worker(start, 1, 0, 1, Role::before, 101);
  made.worker(start - 1s, 2, 1, 1, Role::before, 102);
  return made;
}

const Json& worker(const Json& receipt, unsigned slot, std::size_t number) {
  return receipt.at("slots").at(slot).at("workers").at(number);
}

}  // namespace

TEST_CASE("a rollout of two slots is written down") {
  auto made = two_slots();
  made.phase(start, "preparing");
  made.phase(start + 10ms, "rolling");
  made.worker(start + 10ms, 11, 0, 2, Role::fresh, 111);
  made.ready(start + 12ms, 11);
  made.draining(start + 13ms, 1);
  made.worker(start + 14ms, 12, 1, 2, Role::fresh, 112);
  made.ready(start + 16ms, 12);
  made.draining(start + 20ms, 2);
  made.phase(start + 21ms, "leaving");
  made.gone(start + 30ms, 1, "0", End::clean);
  made.gone(start + 31ms, 2, "0", End::clean);
  made.dropped("127.0.0.1:80");
  const auto receipt = made.finish(start + 40ms, "ok", "");

  CHECK(receipt.at("dropped") == Json{"127.0.0.1:80"});
  CHECK(receipt.at("version") == 1);
  CHECK(receipt.at("kind") == "upgrade");
  CHECK(receipt.at("outcome") == "ok");
  CHECK(receipt.at("started") == "2026-11-22T23:17:58.042Z");
  CHECK(receipt.at("length_ms") == 40);
  CHECK(receipt.at("phases") == Json::parse(R"([{"phase":"preparing","at_ms":0,"length_ms":10},
      {"phase":"rolling","at_ms":10,"length_ms":11},{"phase":"leaving","at_ms":21,"length_ms":19}])"));
  REQUIRE(receipt.at("slots").size() == 2);
  CHECK(worker(receipt, 0, 0) ==
        Json::parse(R"({"pid":101,"generation":1,"role":"old","spawned_ms":null,"ready_ms":null,"drain_ms":13,
                        "gone_ms":30,"exit":"0","end":"clean","force":null,"connections":null,
                        "drained":null,"ended":0,"handed_off":0,"killed":0,"lost":0})"));
  CHECK(worker(receipt, 1, 1) ==
        Json::parse(R"({"pid":112,"generation":2,"role":"new","spawned_ms":14,"ready_ms":16,"drain_ms":null,
                        "gone_ms":null,"exit":null,"end":null,"force":null,"connections":null,
                        "drained":null,"ended":null,"handed_off":null,"killed":null,"lost":null})"));
  CHECK(worker(receipt, 1, 0).at("spawned_ms").is_null());
  CHECK(receipt.at("skew_ms") == 8);
  CHECK_FALSE(receipt.contains("unrecorded_workers"));
}

TEST_CASE("connections are counted by how they ended") {
  auto made = two_slots();
  made.connections(1, 9);
  made.draining(start, 1);
  made.connections(1, 10);
  made.connections(1, 4);
  made.connections(2, 7);
  made.draining(start, 2);

  SUBCASE("by themselves") {
    made.gone(start + 1ms, 1, "0", End::clean);
    const auto receipt = made.finish(start + 2ms, "ok", "");
    CHECK(worker(receipt, 0, 0).at("connections") == 10);
    CHECK(worker(receipt, 0, 0).at("drained") == 10);
    CHECK(worker(receipt, 0, 0).at("killed") == 0);
  }
  SUBCASE("by force") {
    made.gone(start + 1ms, 1, "SIGKILL", End::forced);
    const auto receipt = made.finish(start + 2ms, "ok", "");
    CHECK(worker(receipt, 0, 0).at("drained") == 6);
    CHECK(worker(receipt, 0, 0).at("end") == "forced");
    CHECK(worker(receipt, 0, 0).at("killed") == 4);
    CHECK(worker(receipt, 0, 0).at("lost") == 0);
  }
  SUBCASE("by a crash") {
    made.gone(start + 1ms, 1, "SIGSEGV", End::crashed);
    const auto receipt = made.finish(start + 2ms, "ok", "");
    CHECK(worker(receipt, 0, 0).at("drained") == 6);
    CHECK(worker(receipt, 0, 0).at("killed") == 0);
    CHECK(worker(receipt, 0, 0).at("lost") == 4);
  }
  SUBCASE("more at the end than at the beginning") {
    made.connections(1, 12);
    made.gone(start + 1ms, 1, "SIGKILL", End::forced);
    const auto receipt = made.finish(start + 2ms, "ok", "");
    CHECK(worker(receipt, 0, 0).at("drained") == 0);
    CHECK(worker(receipt, 0, 0).at("killed") == 12);
  }
  SUBCASE("without a count after the order") {
    made.gone(start + 1ms, 2, "0", End::clean);
    const auto receipt = made.finish(start + 2ms, "ok", "");
    CHECK(worker(receipt, 1, 0).at("connections") == 7);
    CHECK(worker(receipt, 1, 0).at("drained") == 7);
  }
}

TEST_CASE("idle connections that were ended and handed off are told of each worker that drained") {
  auto made = two_slots();
  made.draining(start, 1);
  made.idle(1, 2, 0);
  made.idle(1, 3, 5);
  made.idle(2, 1, 1);
  made.idle(9, 1, 1);  // an unknown worker
  made.gone(start + 1ms, 1, "0", End::clean);
  made.idle(1, 9, 9);  // too late
  const auto receipt = made.finish(start + 2ms, "ok", "");
  CHECK(worker(receipt, 0, 0).at("ended") == 3);
  CHECK(worker(receipt, 0, 0).at("handed_off") == 5);
  CHECK(worker(receipt, 1, 0).at("ended").is_null());
}

TEST_CASE("a worker that crashes without an order to drain loses what it had") {
  auto made = two_slots();
  made.connections(1, 3);
  made.gone(start + 1ms, 1, "SIGSEGV", End::crashed);
  made.gone(start + 1ms, 2, "SIGSEGV", End::crashed);
  const auto receipt = made.finish(start + 2ms, "reverted", "it crashed");
  CHECK(worker(receipt, 0, 0).at("lost") == 3);
  CHECK(worker(receipt, 0, 0).at("connections").is_null());
  CHECK(worker(receipt, 0, 0).at("drained").is_null());
  // The connections were never counted.
  CHECK(worker(receipt, 1, 0).at("lost").is_null());
}

TEST_CASE("of the accept queues the peak is kept") {
  auto made = recorder();
  made.depth("http", 3);
  made.depth("admin", std::nullopt);
  made.depth("http", 17);
  made.depth("http", std::nullopt);
  made.depth("http", 2);
  CHECK(made.finish(start, "ok", "").at("queues") ==
        Json::parse(R"([{"listener":"http","peak_depth":17},{"listener":"admin","peak_depth":null}])"));
}

TEST_CASE("probes add up, of the requests the last count holds") {
  auto made = recorder();
  made.probes(4, 0);
  made.probes(4, 1);
  made.requests(Role::before, 10, 0);
  made.requests(Role::fresh, 5, 1);
  made.requests(Role::fresh, 50, 2);
  const auto receipt = made.finish(start, "ok", "");
  CHECK(receipt.at("probes") == Json{{"made", 8}, {"failed", 1}});
  CHECK(receipt.at("requests").at("old") == Json{{"served", 10}, {"failed", 0}});
  CHECK(receipt.at("requests").at("new") == Json{{"served", 50}, {"failed", 2}});
  CHECK(recorder().finish(start, "ok", "").at("requests").at("new").is_null());
}

TEST_CASE("version skew") {
  SUBCASE("of a flip begins with it") {
    auto made = two_slots({{"plan", {{"flip", true}}}});
    made.worker(start + 1ms, 11, 0, 2, Role::fresh, 111);
    made.worker(start + 1ms, 12, 1, 2, Role::fresh, 112);
    made.ready(start + 5ms, 11);
    made.ready(start + 50ms, 12);
    made.flip(start + 60ms);
    made.draining(start + 60ms, 1);
    made.draining(start + 61ms, 2);
    CHECK(made.finish(start + 99ms, "ok", "").at("skew_ms") == 1);
  }
  SUBCASE("of a flip that did not come to pass is none") {
    auto made = two_slots({{"plan", {{"flip", true}}}});
    made.worker(start + 1ms, 11, 0, 2, Role::fresh, 111);
    made.ready(start + 5ms, 11);
    made.draining(start + 20ms, 11);
    CHECK(made.finish(start + 99ms, "reverted", "").at("skew_ms") == 0);
  }
  SUBCASE("of a way back ends with the last new worker") {
    auto made = two_slots();
    made.worker(start + 1ms, 11, 0, 2, Role::fresh, 111);
    made.ready(start + 5ms, 11);
    made.draining(start + 6ms, 1);
    made.worker(start + 30ms, 21, 0, 1, Role::back, 121);
    made.ready(start + 32ms, 21);
    made.draining(start + 35ms, 11);
    CHECK(made.finish(start + 99ms, "reverted", "").at("skew_ms") == 30);
  }
  SUBCASE("of old before new is none") {
    auto made = recorder();
    made.worker(start, 1, 0, 1, Role::before, 101);
    made.draining(start + 1ms, 1);
    made.gone(start + 2ms, 1, "0", End::clean);
    made.worker(start + 3ms, 11, 0, 2, Role::fresh, 111);
    made.ready(start + 5ms, 11);
    CHECK(made.finish(start + 99ms, "ok", "").at("skew_ms") == 0);
  }
  SUBCASE("of a start is none") {
    auto made = recorder();
    made.worker(start, 11, 0, 1, Role::fresh, 111);
    made.ready(start + 5ms, 11);
    const auto receipt = made.finish(start + 99ms, "ok", "");
    CHECK(receipt.at("skew_ms") == 0);
    CHECK(worker(receipt, 0, 0).at("spawned_ms") == 0);
  }
}

TEST_CASE("a receipt in short") {
  auto made = two_slots({{"kind", "upgrade"}, {"to", {{"path", "/a.so"}}}, {"plan", {{"forks", 2}}}});
  const auto summary = summary_of(made.finish(start + 9ms, "reverted", "why"));
  CHECK(summary == Json::parse(R"({"kind":"upgrade","to":{"path":"/a.so"},"outcome":"reverted","reason":"why",
                                   "started":"2026-11-22T23:17:58.042Z","length_ms":9})"));
  CHECK(summary_of(Json()) == Json::object());
}

TEST_CASE("a worker that failed has its reason, and crashed, whatever its end says") {
  auto made = recorder();
  for (const Recorder::Id id : {1, 2, 3, 4}) made.worker(start + 1ms, id, 0, 2, Role::fresh, 100);
  made.failed(1, "returned too early");
  made.gone(start + 2ms, 1, "0", End::clean);
  made.failed(2, "was not ready");
  made.gone(start + 3ms, 2, "SIGKILL", End::forced);
  made.gone(start + 3ms, 3, "SIGSEGV", End::crashed);
  made.failed(3, "killed by SIGSEGV\nit wrote last:\n    oh");
  made.gone(start + 4ms, 4, "0", End::clean);
  made.failed(5, "is not known");
  const auto workers = made.finish(start + 10ms, "reverted", "").at("slots").at(0).at("workers");
  for (const int i : {0, 1, 2}) CHECK(workers.at(i).at("end") == "crashed");
  CHECK(workers.at(0).at("failure") == "returned too early");
  CHECK(workers.at(2).at("failure") == "killed by SIGSEGV\nit wrote last:\n    oh");
  CHECK(workers.at(3).at("end") == "clean");
  CHECK_FALSE(workers.at(3).contains("failure"));
}

TEST_CASE("what is odd does no harm") {
  auto made = recorder();
  made.ready(start, 7);
  made.draining(start, 7);
  made.connections(7, 1);
  made.gone(start, 7, "0", End::clean);
  made.phase(start + 5ms, "preparing");
  made.phase(start + 9ms, "preparing");
  made.amend({{"to", {{"id", "ab"}}}});
  made.worker(start, 1, 3, 1, Role::fresh, 101);
  made.worker(start, 1, 4, 1, Role::fresh, 102);
  made.ready(start + 3ms, 1);
  made.ready(start + 4ms, 1);
  const auto receipt = made.finish(start + 10ms, "failed", "why");
  CHECK(receipt.at("phases").size() == 1);
  CHECK(receipt.at("phases").at(0).at("length_ms") == 5);
  CHECK(receipt.at("to").at("id") == "ab");
  REQUIRE(receipt.at("slots").size() == 1);
  CHECK(receipt.at("slots").at(0).at("slot") == 3);
  CHECK(receipt.at("slots").at(0).at("workers").at(0).at("ready_ms") == 3);
  CHECK(receipt.at("reason") == "why");
}

TEST_CASE("a crash loop does not make a receipt without bounds") {
  auto made = recorder();
  for (Recorder::Id id = 0; id < Recorder::worker_limit + 5; ++id)
    made.worker(start + 1ms, id, 0, 1, Role::before, 100);
  const auto receipt = made.finish(start, "ok", "");
  CHECK(receipt.at("slots").at(0).at("workers").size() == Recorder::worker_limit);
  CHECK(receipt.at("unrecorded_workers") == 5);
  CHECK(receipt.dump().size() < std::size_t{4} * 1024 * 1024);
}

TEST_CASE("times of day are UTC with milliseconds") {
  CHECK(utc_text(std::chrono::system_clock::time_point(1'795'389'478'042ms)) == "2026-11-22T23:17:58.042Z");
  CHECK(utc_text(std::chrono::system_clock::time_point(0ms)) == "1970-01-01T00:00:00.000Z");
}
