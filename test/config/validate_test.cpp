#include "config/validate.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "shown.hpp"

using namespace liveswap;
using namespace std::chrono_literals;

namespace {

constexpr uid_t somebody = 1000;

std::string error_with(const std::function<void(Options&)>& change, uid_t user = somebody) {
  Options options;
  change(options);
  return error_of(config::validate(options, user));
}

// Changes one part of valid Options: the whole error must be the one of that change.
#define CHECK_ERROR(change, text) CHECK(error_with([](Options& o) { change; }) == text)
#define CHECK_GOOD(change) CHECK(error_with([](Options& o) { change; }) == "")

}  // namespace

TEST_CASE("the defaults are good") {
  CHECK(error_with([](Options&) {}) == "");
  CHECK(error_with([](Options&) {}, 0) == "");
}

TEST_CASE("numbers") {
  CHECK_ERROR(o.port = 0, "port: found 0, expected a number from 1 to 65535");
  CHECK_GOOD(o.forks = 0);
  CHECK_GOOD(o.forks = 1024);
  CHECK_ERROR(o.forks = 1025, "forks: found 1025, expected a number from 0 to 1024");
  CHECK_GOOD(o.batch = 0);
  CHECK_ERROR(o.batch = 1025, "batch: found 1025, expected a number from 0 to 1024");
  CHECK_ERROR(o.backlog = 0, "backlog: found 0, expected a number from 1 to 2147483647");
  CHECK_ERROR(o.backlog = -5, "backlog: found -5, expected a number from 1 to 2147483647");
  CHECK_GOOD((o.surge = {0, false}));
  CHECK_ERROR((o.surge = {1001, true}), "surge: found 1001%, expected at most 1024 or 1000%");
  CHECK_ERROR((o.surge = {1025, false}), "surge: found 1025, expected at most 1024 or 1000%");
}

TEST_CASE("what is taken over") {
  CHECK_GOOD(o.keepalive = Keepalive::migrate);
  CHECK_GOOD(o.intercept = Intercept::seccomp);
  CHECK_ERROR((o.keepalive = Keepalive::migrate, o.intercept = Intercept::seccomp),
              "keepalive: found migrate with the intercept seccomp, expected end or keep: a program that "
              "accepts by raw system "
              "calls cannot take connections over");
  CHECK_GOOD(o.keepalive = Keepalive::http);
  CHECK_ERROR(
      (o.keepalive = Keepalive::http, o.intercept = Intercept::seccomp),
      "keepalive: found http with the intercept seccomp, expected end or keep: a program that accepts "
      "by raw system calls cannot take connections over");
  CHECK_ERROR(o.keepalive_grace = -1ms, "keepalive-grace: found -1ms, expected 0ms to 2073600000ms");
  CHECK_ERROR(o.privileged_ports = {0}, "privileged-ports: found 0, expected a number from 1 to 1023");
}

TEST_CASE("durations") {
  CHECK_GOOD(o.settle = 0ms);
  CHECK_GOOD(o.drain_limit = -7ms);
  CHECK_GOOD(o.drain_limit = 0ms);
  CHECK_ERROR(o.settle = -1ms, "settle: found -1ms, expected 0ms to 2073600000ms");
  CHECK_ERROR(o.term_grace = -1ms, "term-grace: found -1ms, expected 0ms to 2073600000ms");
  CHECK_ERROR(o.listener_wait = -1ms, "listener-wait: found -1ms, expected 0ms to 2073600000ms");
  CHECK_ERROR(o.pre_upgrade_limit = 0ms, "pre-upgrade-limit: found 0ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.ready_limit = 577h, "ready-limit: found 2077200000ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.drain_limit = 577h, "drain-limit: found 2077200000ms, expected 0ms to 2073600000ms");
  CHECK_ERROR(o.backoff_min = 0ms, "backoff-min: found 0ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.backoff_max = 577h, "backoff-max: found 2077200000ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.backoff_reset = -1ms, "backoff-reset: found -1ms, expected 0ms to 2073600000ms");
  CHECK_ERROR(o.backoff_max = 50ms, "backoff-min: found 100ms, expected at most backoff-max, 50ms");
  CHECK_ERROR(o.ready_limit = 100ms,
              "settle: found 100ms, expected less than ready-limit, 100ms: no worker would get ready");
}

TEST_CASE("canary, bake, probation, memory, releases") {
  CHECK_GOOD((o.canary = {100, true}));
  CHECK_ERROR((o.canary = {101, true}), "canary: found 101%, expected at most 100%");
  CHECK_GOOD((o.canary = {3, false}, o.forks = 3));
  CHECK_ERROR((o.canary = {50, false}, o.forks = 3),
              "canary: found 50, expected at most 3, the number of forks; was 50% meant?");
  CHECK_ERROR((o.canary = {101, false}, o.forks = 3),
              "canary: found 101, expected at most 3, the number of forks");
  CHECK_GOOD((o.canary = {50, false}, o.forks = 0));  // the number of forks is not known yet
  CHECK_ERROR((o.canary = {1025, false}, o.forks = 0), "canary: found 1025, expected at most 1024 or 100%");
  CHECK_GOOD(o.bake = 0ms);
  CHECK_ERROR(o.bake = -1ms, "bake: found -1ms, expected 0ms to 2073600000ms");
  CHECK_ERROR(o.probation = -1ms, "probation: found -1ms, expected 0ms to 2073600000ms");
  CHECK_ERROR(o.check_limit = 0ms, "check-limit: found 0ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.health_interval = 0ms, "health-interval: found 0ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.liveness_interval = 0ms, "liveness-interval: found 0ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.liveness_limit = 0ms, "liveness-limit: found 0ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.health_limit = 0ms, "health-limit: found 0ms, expected 1ms to 2073600000ms");
  CHECK_ERROR(o.keep_releases = 0, "keep-releases: found 0, expected a number from 1 to 1000");
  CHECK_ERROR(o.keep_releases = 1001, "keep-releases: found 1001, expected a number from 1 to 1000");
  CHECK_GOOD(o.max_memory = 1 << 20);
  CHECK_ERROR(o.max_memory = 512,
              "max-memory: found 512 bytes, expected at least 1048576, or 0 for no limit");
}

TEST_CASE("workers that drain: not fewer than one upgrade leaves behind") {
  CHECK_GOOD((o.max_draining = {100, true}));
  CHECK_GOOD((o.max_draining = {3, false}, o.forks = 3));
  const std::string why =
      "expected 100% or more: one upgrade leaves as many workers that drain as there are forks";
  CHECK_ERROR((o.max_draining = {99, true}), "max-draining: found 99%, " + why);
  CHECK_ERROR((o.max_draining = {2, false}, o.forks = 3), "max-draining: found 2, " + why);
  CHECK_ERROR((o.max_draining = {0, false}, o.forks = 0), "max-draining: found 0, " + why);
  CHECK_ERROR((o.max_draining = {1001, true}), "max-draining: found 1001%, expected at most 1024 or 1000%");
}

TEST_CASE("liveness checks") {
  CHECK_GOOD((o.listen = {{"web", "127.0.0.1:80"}}, o.liveness = "web=GET /up 204"));
  CHECK_GOOD(o.liveness = "heartbeat");
  CHECK_GOOD(o.liveness = "run /bin/true");
  CHECK_ERROR(o.liveness = "connect",
              "liveness: found \"connect\", but there is no listener to probe (--listen)");
  CHECK_ERROR((o.listen = {{"web", "127.0.0.1:80"}}, o.liveness = "api=connect"),
              "liveness: found the listener \"api\", expected one of web");
  CHECK_ERROR(o.liveness = "heartbeats",
              "liveness: found \"heartbeats\", expected [NAME=]connect, [NAME=]GET /path [STATUS] or run "
              "/path/to/command, or heartbeat");
  CHECK_ERROR(o.liveness_failures = 0, "liveness-failures: found 0, expected a number from 1 to 1000");
}

TEST_CASE("health probes") {
  CHECK_GOOD(
      (o.listen = {{"web", "127.0.0.1:80"}}, o.health = {"connect", "web=GET / 204", "run /bin/true"}));
  CHECK_ERROR((o.listen = {{"web", "127.0.0.1:80"}}, o.health = {"api=connect"}),
              "health: found the listener \"api\", expected one of web");
  CHECK_ERROR(o.health = {"connect"},
              "health: found \"connect\", but there is no listener to probe (--listen)");
  CHECK_ERROR(
      o.health.push_back(""),
      "health: found \"\", expected [NAME=]connect, [NAME=]GET /path [STATUS] or run /path/to/command");
  CHECK_ERROR(o.health.assign(65, "run /bin/true"), "health: found 65 probes, expected at most 64");
  CHECK_ERROR(o.health.push_back(std::string("a\0b", 3)),
              "health: found a NUL byte in \"a\\x00b\", expected a text without");
}

TEST_CASE("a flip needs room for all, and nobody that serves first") {
  CHECK_GOOD(o.flip = true);
  CHECK_GOOD((o.flip = true, o.surge = {2, false}));
  CHECK_ERROR(
      (o.flip = true, o.zero_downtime = false),
      "flip: found true with zero-downtime false, expected one of the two: the other kills and respawns");
  CHECK_ERROR(
      (o.flip = true, o.canary = {10, true}),
      "flip: found true with canary 10%, expected one of the two: a canary serves beside the old code");
  CHECK_ERROR(
      (o.flip = true, o.surge = {1, false}),
      "flip: found true with surge 1, expected 100% or more: all successors are ready before the first old "
      "worker leaves");
  CHECK_ERROR(
      (o.flip = true, o.surge = {99, true}),
      "flip: found true with surge 99%, expected 100% or more: all successors are ready before the first old "
      "worker leaves");
}

TEST_CASE("listeners without a name bear their number") {
  Options options;
  options.listen = {{"", "*:1"}, {"web", "*:2"}, {"", "unix:/run/a"}};
  const auto checked = config::validate(options, somebody);
  REQUIRE(checked);
  CHECK(checked->listen[0].name == "0");
  CHECK(checked->listen[1].name == "web");
  CHECK(checked->listen[2].name == "2");
}

TEST_CASE("listeners") {
  CHECK_ERROR((o.listen = {{"a", "*:1"}, {"a", "*:2"}}),
              "listen: found two listeners named \"a\", expected different names (one without a name bears "
              "its number, "
              "from 0)");
  CHECK_ERROR((o.listen = {{"1", "*:1"}, {"", "*:2"}}),
              "listen: found two listeners named \"1\", expected different names (one without a name bears "
              "its number, "
              "from 0)");
  CHECK_ERROR((o.listen = {{"a,b", "*:1"}}),
              "listen: found the name \"a,b\", expected 1 to 64 letters, digits, \".\", \"_\" or \"-\"");
  CHECK_ERROR((o.listen = {{"a", "nowhere"}}),
              "listen: found \"nowhere\", expected host:port, [::1]:port, *:port or unix:/path");
  CHECK_GOOD(o.listen.assign(64, (Listener{"", "*:0"})));
  CHECK_ERROR(o.listen.assign(65, (Listener{"", "*:0"})), "listen: found 65 listeners, expected at most 64");
}

TEST_CASE("control") {
  CHECK_GOOD(o.address = "0.0.0.0");
  CHECK_GOOD(o.address = "localhost");
  CHECK_ERROR(o.address = "", "address: found \"\", expected an address or a name, without a port");
  CHECK_ERROR(o.address = "[::1]", "address: found \"[::1]\", expected an address or a name, without a port");
  CHECK_GOOD(o.auth = false);
  CHECK_ERROR((o.auth = false, o.address = "0.0.0.0"),
              "auth: found false with the address \"0.0.0.0\", expected 127.0.0.1 or ::1: every process that "
              "can connect could run code");
  CHECK(
      error_with([](Options& o) { o.auth = false; }, 0) ==
      "auth: found false as root, expected another user: every user of this machine could run code as root");
}

TEST_CASE("texts") {
  const std::string nul("a\0b", 3);
  const auto expect = [&](const char* option, std::string Options::*member) {
    CHECK(error_with([&](Options& o) { o.*member = nul; }, 0) ==
          std::string(option) + ": found a NUL byte in \"a\\x00b\", expected a text without");
  };
  expect("target", &Options::target);
  expect("head", &Options::head);
  expect("pre-upgrade", &Options::pre_upgrade);
  expect("working-directory", &Options::working_directory);
  expect("user", &Options::user);
  expect("group", &Options::group);
  expect("state-dir", &Options::state_dir);
  expect("runtime-dir", &Options::runtime_dir);
  expect("worker-host", &Options::worker_host);
  expect("log-file", &Options::log_file);
  CHECK_ERROR((o.arguments = {"x", std::string("a\0b", 3)}),
              "arguments: found a NUL byte in \"a\\x00b\", expected a text without");
  CHECK_ERROR(o.pre_upgrade = "/srv/", "pre-upgrade: found \"/srv/\", expected the path of a plugin");
}

TEST_CASE("environment") {
  const std::string rule = ", expected a name that is not empty and has no \"=\"";
  CHECK_GOOD((o.environment = {{"LD_PRELOAD", "/x.so"}, {"GLIBC_TUNABLES", "a"}, {"A.b", ""}}));
  CHECK_ERROR((o.environment = {{"", "x"}}), "environment: found the name \"\"" + rule);
  CHECK_ERROR((o.environment = {{"A=B", "x"}}), "environment: found the name \"A=B\"" + rule);
  CHECK_ERROR((o.environment = {{std::string("A\0", 2), "x"}}),
              "environment: found the name \"A\\x00\"" + rule);
  CHECK_ERROR((o.environment = {{"A", std::string("a\0b", 3)}}),
              "environment: found a NUL byte in \"a\\x00b\", expected a text without");
}

TEST_CASE("a target that is forced is named") {
  CHECK_GOOD((o.force_target = true, o.target = "/v1.so"));
  CHECK_ERROR(o.force_target = true,
              "force-target: found no target, expected the path of the library to begin with");
}

TEST_CASE("limits") {
  CHECK_GOOD((o.limits = {{"nofile", 1}, {"core", UINT64_MAX}}));
  CHECK_ERROR((o.limits = {{"nofil", 1}}), "limits: unknown limit \"nofil\", did you mean \"nofile\"?");
  CHECK_ERROR((o.limits = {{"core", 1}, {"core", 2}}), "limits: found core twice, expected it once");
}

TEST_CASE("only root changes user and group") {
  CHECK(error_with([](Options& o) { o.user = "www-data", o.group = "33"; }, 0) == "");
  CHECK_ERROR(o.user = "www-data", "user: found \"www-data\", expected none: only root can change the user");
  CHECK_ERROR(o.group = "33", "group: found \"33\", expected none: only root can change the group");
}

TEST_CASE("every error is reported") {
  CHECK_ERROR((o.forks = 2000, o.batch = 2000, o.address = "*"),
              "forks: found 2000, expected a number from 0 to 1024\n"
              "batch: found 2000, expected a number from 0 to 1024\n"
              "address: found \"*\", expected an address or a name, without a port");
}
