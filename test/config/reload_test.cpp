#include "config/reload.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "config/yaml.hpp"
#include "shown.hpp"

using namespace liveswap;
using namespace liveswap::config;

namespace {

Options options_of(const std::string& text) {
  auto options = parse_yaml(text, "liveswap.yaml", "/srv", {});
  REQUIRE_MESSAGE(options, error_of(options));
  return *options;
}

// The value of a key before and after a change, and what becomes of it.
struct Row {
  const char* before;
  const char* after;
  Applies applies;
};

constexpr auto at_once = Applies::at_once, generation = Applies::generation, restart = Applies::restart;

const std::map<std::string, Row> rows{
    {"target", {"a.so", "b.so", at_once}},
    {"force-target", {"false", "true", at_once}},
    {"port", {"3000", "3001", restart}},
    {"address", {"127.0.0.1", "::1", restart}},
    {"auth", {"true", "false", restart}},
    {"state-dir", {"/a", "/b", restart}},
    {"runtime-dir", {"/a", "/b", restart}},
    {"head", {"/a/HEAD", "/b/HEAD", restart}},
    {"worker-host", {"/a/worker", "/b/worker", restart}},
    {"listen", {"127.0.0.1:80", "[127.0.0.1:80, x=127.0.0.1:81]", generation}},
    {"listen-mode", {"reuseport", "shared", generation}},
    {"backlog", {"10", "11", at_once}},
    {"log-file", {"/a/log", "/b/log", at_once}},
    {"forks", {"2", "3", at_once}},
    {"pre-upgrade", {"/a.so", "/b.so", at_once}},
    {"zero-downtime", {"true", "false", at_once}},
    {"await-listener", {"true", "false", at_once}},
    {"privileged-ports", {"[80, 443]", "[80]", at_once}},
    {"batch", {"auto", "2", at_once}},
    {"surge", {"2", "2%", at_once}},
    {"max-draining", {"100%", "200%", at_once}},
    {"flip", {"false", "true", at_once}},
    {"canary", {"1", "1%", at_once}},
    {"bake", {"60s", "61s", at_once}},
    {"probation", {"none", "1ms", at_once}},
    {"max-memory", {"none", "1G", at_once}},
    {"health", {"GET /a", "[GET /a, GET /b]", at_once}},
    {"health-interval", {"1s", "2s", at_once}},
    {"health-limit", {"1s", "2s", at_once}},
    {"liveness", {"none", "run /bin/true", at_once}},
    {"liveness-interval", {"5s", "6s", at_once}},
    {"liveness-limit", {"1s", "2s", at_once}},
    {"liveness-failures", {"3", "4", at_once}},
    {"keep-releases", {"3", "4", at_once}},
    {"settle", {"0ms", "1ms", at_once}},
    {"ready-limit", {"1s", "1001ms", at_once}},
    {"listener-wait", {"1s", "2s", at_once}},
    {"drain-limit", {"none", "0ms", at_once}},
    {"term-grace", {"1s", "2s", at_once}},
    {"orphan-wait", {"none", "forever", at_once}},
    {"pre-upgrade-limit", {"1s", "2s", at_once}},
    {"check-limit", {"1s", "2s", at_once}},
    {"backoff-min", {"1s", "2s", at_once}},
    {"backoff-max", {"1s", "2s", at_once}},
    {"backoff-reset", {"1s", "2s", at_once}},
    {"kind", {"auto", "script", generation}},
    {"start-file", {"a.js", "b.js", generation}},
    {"runtime", {"node -x", "[node, -y]", generation}},
    {"runtimes", {"{py: python3}", "{py: {run: python3, check: [python3, -m, x]}}", generation}},
    {"entry", {"liveswap_main", "main", generation}},
    {"intercept", {"libc", "seccomp", generation}},
    {"keepalive", {"end", "keep", generation}},
    {"keepalive-grace", {"1s", "2s", generation}},
    {"arguments", {"[a, b]", "['a\" \"b']", generation}},
    {"environment", {"{A: '1', B: '2'}", "{A: \"1 B=2\"}", generation}},
    {"working-directory", {"/a", "/b", generation}},
    {"user", {"app", "1000", generation}},
    {"group", {"app", "1000", generation}},
    {"limits", {"{nofile: 1K, core: 0}", "{nofile: 1024, core: unlimited}", generation}},
};

std::string file(const std::string& key, const char* value) { return key + ": " + value + "\n"; }

}  // namespace

TEST_CASE("every key of the file has one rule") {
  std::set<std::string_view> keys, ruled;
  for (const auto name : key_names()) keys.insert(name);
  for (const auto& rule : reload_rules()) {
    CAPTURE(rule.key);
    CHECK(ruled.insert(rule.key).second);
  }
  CHECK(keys == ruled);
}

TEST_CASE("each key, changed alone, is the only change, of the class that the reference tells") {
  for (const auto name : key_names()) {
    CAPTURE(name);
    const std::string key(name);
    REQUIRE_MESSAGE(rows.contains(key), "a new key: say in this table what a reload does with it");
    const Row& row = rows.at(key);
    const auto before = options_of(file(key, row.before)), after = options_of(file(key, row.after));
    const auto plan = plan_reload(before, after);
    REQUIRE(plan.changes.size() == 1);
    CHECK(plan.changes.front().key == key);
    CHECK(plan.changes.front().applies == row.applies);
    CHECK_FALSE(plan.changes.front().text.empty());
    CHECK(plan.has(row.applies));
    CHECK(plan_reload(after, before).changes.size() == 1);
    CHECK(plan_reload(before, options_of(file(key, row.before))).changes.empty());
    Options taken = before;
    take_changes(plan, after, taken);
    CHECK(plan_reload(taken, after).changes.empty());
  }
}

TEST_CASE("what is not in the plan is not taken") {
  Options into = options_of("forks: 2\nbatch: 1\n");
  const auto fresh = options_of("forks: 4\nbatch: 3\nbake: 2s\n");
  auto plan = plan_reload(into, fresh);
  std::erase_if(plan.changes, [](const Change& change) { return change.key != "batch"; });
  take_changes(plan, fresh, into);
  CHECK(into.batch == 3);
  CHECK(into.forks == 2);
  CHECK(into.bake != fresh.bake);
}

TEST_CASE("changes in words; of variables only the names") {
  const auto plan =
      plan_reload(options_of("forks: 2\nport: 3000\nbake: 1m\nenvironment: {A: secret, B: x, C: x}"),
                  options_of("forks: 4\nport: 3001\nbake: 90s\nenvironment: {A: hidden, B: x, D: x}"));
  CHECK(plan.text(at_once) == "forks (2 → 4), bake (1m → 90s)");
  CHECK(plan.text(generation) == "environment (A changed, D added, C removed)");
  CHECK(plan.text(restart) == "port (3000 → 3001)");
  CHECK(plan_reload(options_of(""), options_of("max-memory: 2G")).text(at_once) == "max-memory (none → 2G)");
  CHECK(plan_reload(options_of("user: a"), options_of("")).text(generation) == "user (a → none)");
}

TEST_CASE("values that mean the same are no change, in whatever order and form") {
  const auto same = [](const char* one, const char* other) {
    return plan_reload(options_of(one), options_of(other)).changes.empty();
  };
  CHECK(same("limits: {nofile: 1K, core: 0}", "limits: {core: 0, nofile: 1024}"));
  CHECK(same("bake: 60s", "bake: 1m"));
  CHECK(same("privileged-ports: [80, 443]", "privileged-ports: [443, 80]"));
  CHECK(same("environment: {A: x, B: y}", "environment: {B: y, A: x}"));
  CHECK(same("log-file: ./log", "log-file: /srv/log"));
  CHECK(same("forks: 2", ""));
}

TEST_CASE("workers know at their start how often to give heartbeats; other checks are the master's alone") {
  const auto plan = [](const char* one, const char* other) {
    return plan_reload(options_of(one), options_of(other));
  };
  CHECK(plan("", "liveness: heartbeat").text(generation) == "liveness (none → heartbeat)");
  CHECK(plan("liveness: heartbeat", "liveness: run /bin/true").has(generation));
  const auto faster = plan("liveness: heartbeat", "liveness: heartbeat\nliveness-interval: 2s");
  CHECK(faster.text(generation) == "liveness-interval (5s → 2s)");
  CHECK_FALSE(plan("liveness: heartbeat", "liveness: heartbeat\nliveness-limit: 2s").has(generation));
  CHECK_FALSE(
      plan("liveness: run /bin/true", "liveness: run /bin/false\nliveness-interval: 2s").has(generation));
}

TEST_CASE("the log moves between files, but not from or to standard error") {
  CHECK(plan_reload(options_of(""), options_of("log-file: a")).has(restart));
  CHECK(plan_reload(options_of("log-file: a"), options_of("")).has(restart));
  CHECK(plan_reload(options_of("log-file: a"), options_of("log-file: b")).has(at_once));
}
