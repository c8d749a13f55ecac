// How a run is timed, controlled and ended: the real client, against servers that answer.
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <future>

#include "load/load_run.hpp"
#include "load/tiny_server.hpp"

using namespace liveswap::load;
using namespace liveswap::load::test;

namespace {

std::uint64_t sum_of_timeline(const nlohmann::json& json, const std::string& version) {
  std::uint64_t sum = 0;
  for (const auto& bucket : json.at("timeline"))
    sum += bucket.at("versions").value(version, std::uint64_t{0});
  return sum;
}

Behaviour stall_once() {
  return [count = 0](Peer& peer, const std::string&) mutable {
    // The server's stall; no wait for a condition.
    if (++count == 50) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    send_text(peer.fd.get(), http_answer("v1", "hello"));
    return true;
  };
}

}  // namespace

TEST_CASE("one sees which version answered when") {
  const ThreadServer server([count = 0](Peer& peer, const std::string&) mutable {
    send_text(peer.fd.get(), http_answer(++count <= 40 ? "v1" : "v2", "hello"));
    return false;
  });
  LoadRun run({"--rate", "500", "--requests", "100", "--bucket-ms", "20", server.listener().url()});
  CHECK(run.finish() == 0);
  const auto& versions = run.json()["versions"];
  CHECK(versions["v1"]["count"] == 40);
  CHECK(versions["v2"]["count"] == 60);
  CHECK(versions["v1"]["last_ms"] <= versions["v2"]["last_ms"]);
  CHECK(versions["v1"]["first_ms"] <= versions["v2"]["first_ms"]);
  CHECK(sum_of_timeline(run.json(), "v1") == 40);
  CHECK(sum_of_timeline(run.json(), "v2") == 60);
  CHECK(run.json()["timeline"].size() > 2);
}

TEST_CASE("a server that stalls once is seen by every request that was meant to be sent meanwhile") {
  const ThreadServer server(stall_once());
  // One connection, so only one request at a time is with the server: a closed loop would see one slow
  // answer.
  LoadRun run({"--rate", "500", "--requests", "300", "--keep-alive", "--connections", "1",
               "--max-connections", "1", server.listener().url()});
  CHECK(run.finish() == 0);
  CHECK(run.count("ok") == 300);
  CHECK(run.json()["latency_us"]["p90"] >= 100'000);
  CHECK(run.json()["latency_us"]["max"] >= 290'000);
}

TEST_CASE("a queue is worked off on the connections that are open") {
  const ThreadServer server(stall_once());
  LoadRun run({"--rate", "500", "--requests", "300", "--keep-alive", "--connections", "1",
               "--max-connections", "4", server.listener().url()});
  CHECK(run.finish() == 0);
  CHECK(run.count("ok") == 300);
  CHECK(run.json()["connections"]["most_open"] == 4);
  CHECK(run.json()["connections"]["opened"] <= 60);
}

TEST_CASE("slow requests are kept in flight and accounted beside the rate") {
  const ThreadServer server([](Peer& peer, const std::string& request) {
    if (request.starts_with("GET /slow ")) return true;
    send_text(peer.fd.get(), http_answer("v1", "hello"));
    return true;
  });
  for (const bool keep_alive : {false, true}) {
    std::vector<std::string> arguments = {"--rate",
                                          "200",
                                          "--duration",
                                          "0.5",
                                          "--slow",
                                          "3",
                                          "--slow-timeout-ms",
                                          "100",
                                          server.listener().url()};
    if (keep_alive) arguments.emplace_back("--keep-alive");
    LoadRun run(arguments);
    CHECK(run.finish() == 1);
    const std::uint64_t slow = run.json()["slow"]["attempts"];
    CHECK(slow >= 6);
    CHECK(slow % 3 == 0);
    CHECK(run.count("timed_out") == slow);
    CHECK(run.count("ok") == 100);
    CHECK(run.attempts() == 100 + slow);
  }
}

TEST_CASE("a slow path that is not slow does not become a flood") {
  const ThreadServer server(answer_with("v1", "hello"));
  LoadRun run({"--rate", "0", "--duration", "0.5", "--slow", "2", server.listener().url()});
  CHECK(run.finish() == 0);
  CHECK(run.json()["slow"]["attempts"] <= 2 * 51);
  CHECK(run.json()["slow"]["latency_us"]["count"] == run.count("ok"));
}

TEST_CASE("marks divide the run into phases") {
  const ThreadServer server(answer_with("v1", "hello"));
  LoadRun run({"--rate", "1000", "--stdin", "--max-duration", "60", server.listener().url()});
  REQUIRE(run.next_line() == "first answer: v1");
  run.tell("mark during");
  CHECK(run.next_line() == "phase: during");
  run.tell("mark after all");
  CHECK(run.next_line() == "phase: after all");
  run.tell("stop");
  CHECK(run.finish() == 0);
  const auto& phases = run.json()["phases"];
  REQUIRE(phases.size() == 3);
  CHECK(phases[0]["name"] == "run");
  CHECK(phases[1]["name"] == "during");
  CHECK(phases[2]["name"] == "after all");
  std::uint64_t attempts = 0;
  for (const auto& phase : phases) attempts += phase["attempts"].get<std::uint64_t>();
  CHECK(attempts == run.attempts());
  CHECK(phases[0]["versions"]["v1"] == phases[0]["attempts"]);
}

TEST_CASE("a run ends with the script that steers it") {
  const ThreadServer server(answer_with("v1", "hello"));
  LoadRun run({"--stdin", server.listener().url()});
  REQUIRE(run.next_line() == "first answer: v1");
  run.close_input();
  CHECK(run.finish() == 0);
  CHECK(run.count("ok") == run.attempts());
}

TEST_CASE("a command that is not understood ends the run") {
  const ThreadServer server(answer_with("v1", "hello"));
  LoadRun run({"--stdin", server.listener().url()});
  run.tell("makr during");
  CHECK(run.finish() == 2);
}

TEST_CASE("a signal ends the run after the last answer") {
  const ThreadServer server(answer_with("v1", "hello"));
  for (const int number : {SIGTERM, SIGINT}) {
    LoadRun run({"--rate", "1000", server.listener().url()});
    REQUIRE(run.next_line() == "first answer: v1");
    run.signal(number);
    CHECK(run.finish() == 0);
    CHECK(run.count("ok") == run.attempts());
  }
}

TEST_CASE("requests that are in flight at the end are waited for") {
  std::promise<void> in_flight;
  const ThreadServer server([&in_flight, count = 0](Peer&, const std::string&) mutable {
    if (++count == 5) in_flight.set_value();
    return true;
  });
  LoadRun run({"--timeout-ms", "500", "--stdin", server.listener().url()});
  in_flight.get_future().wait();
  run.tell("stop");
  CHECK(run.finish() == 1);
  CHECK(run.attempts() >= 5);
  CHECK(run.count("timed_out") == run.attempts());
}

TEST_CASE("a target elsewhere is refused") {
  LoadRun run({"http://192.0.2.1/"});
  CHECK(run.next_line() ==
        "liveswap-load: host 192.0.2.1 is not a loopback address: refused without --namespace");
  CHECK(run.finish() == 2);
}

TEST_CASE("a run without an attempt proves nothing") {
  const ThreadServer server(answer_with("v1", "hello"));
  LoadRun run({"--requests", "0", server.listener().url()});
  CHECK(run.finish() == 1);
  CHECK(run.attempts() == 0);
}
