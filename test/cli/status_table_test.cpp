#include "cli/status_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "cli/printable.hpp"

using namespace liveswap::cli;

namespace {

liveswap::Result<std::string> status_table(std::string_view json, const Screen& screen = {100}) {
  return liveswap::cli::status_table(json, " -p 3001", screen);
}

}  // namespace

TEST_CASE("a master in the middle of an upgrade") {
  const char* status =
      R"({"version":"0.1.0","pid":7,"port":3000,"uptime_ms":61000,"head":"/v1.so","head_file":"/s/HEAD",
    "target":"/v0.so","target_note":"HEAD says /v1.so; the configured target /v0.so is not used",
    "generation":2,"forks":2,"state":"upgrading","zero_downtime":true,"listen_mode":"reuseport",
    "listeners":[{"name":"0","address":"127.0.0.1:80"},{"name":"api","address":"unix:/s"},{"name":"[::]:81",
    "address":"[::]:81"}],
    "last_upgrade":{"status":"reverted","text":"why","ago_ms":5000,"release":"/v2.so"},
    "slots":[{"slot":0,"restarts":1,"workers":[
        {"pid":4711,"state":"draining","generation":2,"release":"/v1.so","id":"aaaaaaaa1111",
          "uptime_ms":7000,"connections":3,
         "rss":12582912,"requests":120344,"failed":7},
        {"pid":12,"state":"starting","generation":3,"release":"/v2.so","id":"bbbbbbbb2222","uptime_ms":20,
          "connections":null,
         "rss":512000,"requests":null,"failed":null}]},
      {"slot":1,"restarts":12,"last_failure":{"text":"slot 1, stage run: killed by SIGSEGV","pid":13,
        "generation":2,
        "ago_ms":3000},"workers":[]}]})";
  CHECK(*status_table(status) ==
        "master        upgrading, pid 7, port 3000, up 1 min 1 s, version 0.1.0\n"
        "HEAD          /v1.so (generation 2)\n"
        "HEAD file     /s/HEAD\n"
        "target        HEAD says /v1.so; the configured target /v0.so is not used\n"
        "listeners     0=127.0.0.1:80, api=unix:/s, [::]:81 (reuseport)\n"
        "last upgrade  reverted, 5.0 s ago: why\n"
        "\n"
        "SLOT   PID  STATE     GEN  RELEASE   UPTIME   MEMORY  CONN  REQUESTS  FAILED  RESTARTS\n"
        "   0  4711  draining    2  aaaaaaaa   7.0 s   12 MiB     3    120344       7         1\n"
        "   0    12  starting    3  bbbbbbbb   20 ms  500 KiB     ?         -       -         1\n"
        "   1     -  down        -  -              -        -     -         -       -        12\n"
        "\n"
        "release aaaaaaaa  /v1.so\n"
        "release bbbbbbbb  /v2.so\n"
        "\n"
        "worker 13 of generation 2 failed 3.0 s ago: slot 1, stage run: killed by SIGSEGV\n");
  for (const std::size_t width : {40, 60, 80, 120, 200}) {
    const auto page = *status_table(status, Screen{width, false, true});
    std::istringstream lines(page);
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK(columns(line) <= width);
    }
    CHECK((page.find("SLOT ") != std::string::npos) == (width >= 80));
    CHECK((page.find("requests") != std::string::npos) == (width < 80));
    CHECK(page.find("SIGSEGV") != std::string::npos);
  }
}

TEST_CASE("status: a listener that a reload has removed, and that old workers still have, is leaving") {
  const auto table = status_table(
      R"({"listeners":[{"name":"web","address":"127.0.0.1:80"},{"name":"old","address":"127.0.0.1:81",
          "leaving":true},{"name":"x","address":"unix:/x","leaving":false}],"listen_mode":"shared"})");
  CHECK(table->find("web=127.0.0.1:80, old=127.0.0.1:81 leaving, x=unix:/x (shared)\n") != std::string::npos);
}

TEST_CASE("workers that do not answer, and when the next one is replaced") {
  const std::string slots =
      R"("slots":[{"slot":1,"restarts":0,"workers":[{"pid":12,"state":"hung","generation":1,
      "release":"/v1.so","id":"aaaaaaaa1111","uptime_ms":20,"connections":1,"rss":512000,
      "requests":null,"failed":null,
      "silent":{"ms":8000,"unanswered":3,"text":"GET /up: no answer within 1000 ms"}}]}]})";
  const auto hung = *status_table("{" + slots);
  CHECK(hung.find("hung") != std::string::npos);
  CHECK(hung.find("\nworker 12 in slot 1 has not answered for 8.0 s (3 checks in a row): GET /up: no answer "
                  "within\n    1000 ms\n") != std::string::npos);
  CHECK(hung.find("at the earliest") == std::string::npos);
  CHECK(status_table("{\"replaced_in_ms\":4000," + slots)
            ->find("the next hung worker is replaced in 4.0 s at the earliest: workers hang too often\n") !=
        std::string::npos);
}

TEST_CASE("a bake, and an upgrade that waits") {
  const auto table = status_table(
      R"({"head":"/v1.so","release_id":"3fa9c1d2e0b1ffff","generation":2,"max_memory":1073741824,
        "memory":536870912,
    "upgrade":{"kind":"upgrade","to":"/v2.so","phase":"baking","left_ms":12000,"elapsed_ms":18000,
    "slots_ready":1,
               "slots":4,"asked_by":"uid 0, pid 5"},
    "queued":{"to":"/v3.so","waiting_ms":900,"asked_by":"uid 0, pid 6"},
    "last_upgrade":{"status":"ok","text":"done","ago_ms":5000,"release":"/v1.so","receipt":7}})");
  REQUIRE(table.has_value());
  for (const char* line :
       {"HEAD          /v1.so (release 3fa9c1d2e0b1, generation 2)\n", "memory        512 MiB of 1024 MiB\n",
        "under way     upgrade to /v2.so: baking, 12.0 s left, 1 of 4 slots ready, since 18.0 s, asked for "
        "by\n"
        "              uid 0, pid 5\n              end it as passed: liveswap promote -p 3001; revert it: "
        "liveswap abort "
        "-p 3001\n",
        "queued        /v3.so, waiting for 900 ms\n",
        "last upgrade  ok, 5.0 s ago: done (liveswap receipt 7 -p 3001)\n"}) {
    CAPTURE(line);
    CHECK(table->find(line) != std::string::npos);
  }
  const auto rolling =
      status_table(R"({"upgrade":{"kind":"rollback","to":"/v2.so","phase":"rolling"},"queued":null})");
  CHECK(rolling->find("under way     rollback to /v2.so: rolling\n") != std::string::npos);
  CHECK(rolling->find("promote") == std::string::npos);
  CHECK(rolling->find("queued") == std::string::npos);
}

TEST_CASE("a start that prepares") {
  const auto table = status_table(
      R"({"head":"","release_id":"","generation":0,"upgrade":{"kind":"start","to":"","phase":"preparing"}})");
  REQUIRE(table.has_value());
  CHECK(table->find("HEAD          nothing committed yet\n") != std::string::npos);
  CHECK(table->find("under way     start: preparing\n") != std::string::npos);
}

TEST_CASE("the last failure of a slot, with what the worker wrote last") {
  const auto table = status_table(
      R"({"last_upgrade":{"status":"reverted","text":"why\nit wrote last:\n    oh","ago_ms":5000},
    "slots":[{"slot":0,"restarts":1,"workers":[],"last_failure":
        {"text":"slot 0, stage run: killed by SIGSEGV\nit wrote last:\n    \u001b[1moh","pid":4711,
          "generation":2,"ago_ms":3100}},
      {"slot":1,"restarts":0,"workers":[],"last_failure":null}]})");
  REQUIRE(table.has_value());
  CHECK(table->find("last upgrade  reverted, 5.0 s ago: why\n") != std::string::npos);
  CHECK(table->find("\nworker 4711 of generation 2 failed 3.1 s ago: slot 0, stage run: killed by SIGSEGV\n"
                    "it wrote last:\n"
                    "    \\x1b[1moh\n") != std::string::npos);
  CHECK(table->find("worker ? of") == std::string::npos);
}

TEST_CASE("what is missing or of another type is no reason to fail") {
  const auto table = status_table(R"({"slots":[7,{"workers":[{}]}],"listeners":{},"zero_downtime":false})");
  REQUIRE(table.has_value());
  CHECK(table->find("listeners     none\n") != std::string::npos);
  CHECK(table->find("zero downtime is off") != std::string::npos);
  CHECK(table->find("last upgrade") == std::string::npos);
  CHECK_FALSE(status_table("[]").has_value());
}

TEST_CASE("names from elsewhere cannot drive the terminal, and wide ones keep the columns") {
  const auto table =
      status_table(R"({"head":"\u001b[2J","slots":[{"slot":0,"restarts":0,"workers":[{"state":"ä"}]},)"
                   R"({"slot":1,"restarts":0,"workers":[{"state":"b"}]}]})");
  CHECK(table->find('\x1b') == std::string::npos);
  CHECK(table->find("?  ä        ?  -") != std::string::npos);
  CHECK(table->find("?  b        ?  -") != std::string::npos);
}
