#include "cli/status_table.hpp"

#include <doctest/doctest.h>

using namespace liveswap::cli;

TEST_CASE("a master in the middle of an upgrade") {
  const char* status =
      R"({"version":"0.1.0","pid":7,"port":3000,"uptime_ms":61000,"head":"/v1.so","head_file":"/s/HEAD",
    "generation":2,"forks":2,"state":"upgrading","zero_downtime":true,"listen_mode":"reuseport",
    "listeners":[{"name":"0","address":"127.0.0.1:80"},{"name":"api","address":"unix:/s"}],
    "last_upgrade":{"status":"reverted","text":"why","ago_ms":5000,"release":"/v2.so"},
    "slots":[{"slot":0,"restarts":1,"workers":[
        {"pid":4711,"state":"draining","generation":2,"release":"/v1.so","uptime_ms":7000,"connections":3},
        {"pid":12,"state":"starting","generation":3,"release":"/v2.so","uptime_ms":20,"connections":null}]},
      {"slot":1,"restarts":12,"workers":[]}]})";
  CHECK(*status_table(status) ==
        "master        upgrading, pid 7, port 3000, up 1 min 1 s, version 0.1.0\n"
        "HEAD          /v1.so (generation 2)\n"
        "HEAD file     /s/HEAD\n"
        "listeners     0=127.0.0.1:80, api=unix:/s (reuseport)\n"
        "last upgrade  reverted, 5.0 s ago: why\n"
        "\n"
        "SLOT   PID  STATE     GEN  UPTIME  CONNECTIONS  RESTARTS  RELEASE\n"
        "   0  4711  draining    2   7.0 s            3         1  /v1.so\n"
        "   0    12  starting    3   20 ms            ?         1  /v2.so\n"
        "   1     -  down        -       -            -        12  -\n");
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
  CHECK(table->find("?  ä        ?") != std::string::npos);
  CHECK(table->find("?  b        ?") != std::string::npos);
}
