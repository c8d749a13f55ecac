// The command line of the worker host (base/options.h): what a master writes is understood, anything else is
// refused.
#include "../host_headers.hpp"

#include <doctest/doctest.h>

#include <climits>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" {
#include "contract/channel.h"
#include "worker/base/options.h"
}

namespace {

using Words = std::vector<std::string>;

// A line that lives as long as what was parsed of it.
struct Line {
  explicit Line(Words given) : words(std::move(given)) {
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    is_good = options_parse(&options, static_cast<int>(words.size()), argv.data());
  }
  Line(const Line&) = delete;
  ~Line() { std::free(options.words); }
  Words words;
  std::vector<char*> argv;
  ::options options{};
  bool is_good = false;
};

const Words kWorker{"liveswap-worker", "--slot", "3",           "--generation", "7", "--drain-limit", "1000",
                    "--term-grace",    "250",    "--listeners", "a,b,c"};

Words worker(const Words& more) {
  Words words = kWorker;
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// A good line in which one word is another one.
Words with(std::size_t at, const std::string& word) {
  Words words = worker({"/app.so"});
  words.at(at) = word;
  return words;
}

// The words of a worker in the environment, one in a line.
struct Environment {
  explicit Environment(const Words& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : "\n") + word;
    ::setenv(LIVESWAP_WORKER_VARIABLE, text.c_str(), 1);
  }
  ~Environment() { ::unsetenv(LIVESWAP_WORKER_VARIABLE); }
};

Words without_name(Words words) {
  words.erase(words.begin());
  return words;
}

}  // namespace

TEST_CASE("options: a worker's line") {
  const Line line(worker({"/lib/app.so", "one", "--two"}));
  REQUIRE(line.is_good);
  CHECK(line.options.mode == MODE_WORKER);
  CHECK(line.options.slot == 3);
  CHECK(line.options.generation == 7);
  CHECK(line.options.drain_limit_ms == 1000);
  CHECK(line.options.term_grace_ms == 250);
  CHECK(std::string(line.options.listeners) == "a,b,c");
  CHECK(std::string(line.options.path) == "/lib/app.so");
  REQUIRE(line.options.argument_count == 3);
  CHECK(line.options.arguments[0] == line.options.path);
  CHECK(std::string(line.options.arguments[1]) == "one");
  CHECK(std::string(line.options.arguments[2]) == "--two");
  CHECK(line.options.arguments[3] == nullptr);
}

TEST_CASE("options: what is left out has its default") {
  const Line line(worker({"/app.so"}));
  REQUIRE(line.is_good);
  CHECK(std::string(line.options.entry) == "liveswap_main");
  CHECK(line.options.intercept == INTERCEPT_LIBC);
  CHECK(line.options.keepalive == KEEPALIVE_END);
  CHECK(line.options.keepalive_grace_ms == 1000);
  CHECK(!line.options.keepalive_is_given);
  CHECK(line.options.launch.kind == nullptr);
  CHECK(line.options.launch.run_count == 0);
}

TEST_CASE("options: what starts the release") {
  const Line line(worker({"--kind", "script", "--start", "a/b.js", "--runtime", "js=node\x1f-x", "--runtime",
                          "=deno", "--await", "nothing", "--runtime-check", "js=node", "--as", "/app/x",
                          "--keepalive", "http", "/a"}));
  REQUIRE(line.is_good);
  CHECK(line.options.awaits_nothing);
  const auto& launch = line.options.launch;
  CHECK(std::string(launch.kind) == "script");
  CHECK(std::string(launch.start) == "a/b.js");
  REQUIRE(launch.run_count == 2);
  CHECK(std::string(launch.runs[0]) == "js=node\x1f-x");
  CHECK(std::string(launch.runs[1]) == "=deno");
  REQUIRE(launch.check_count == 1);
  CHECK(std::string(launch.checks[0]) == "js=node");
  CHECK(std::string(line.options.as) == "/app/x");
  CHECK(line.options.keepalive == KEEPALIVE_HTTP);
  CHECK(line.options.keepalive_is_given);
}

TEST_CASE("options: more of them, in any order") {
  const Line line(worker({"--keepalive-grace", "0", "--keepalive", "migrate", "--entry", "main",
                          "--intercept", "seccomp", "--heartbeat", "500", "/app.so"}));
  REQUIRE(line.is_good);
  CHECK(line.options.heartbeat_ms == 500);
  CHECK(std::string(line.options.entry) == "main");
  CHECK(line.options.intercept == INTERCEPT_SECCOMP);
  CHECK(line.options.keepalive == KEEPALIVE_MIGRATE);
  CHECK(line.options.keepalive_grace_ms == 0);
  CHECK(Line(worker({"--keepalive", "end", "/a"})).options.keepalive == KEEPALIVE_END);
  CHECK(Line(worker({"--keepalive", "keep", "/a"})).options.keepalive == KEEPALIVE_KEEP);
  CHECK(Line(worker({"--intercept", "libc", "/a"})).options.intercept == INTERCEPT_LIBC);
}

TEST_CASE("options: the least and the greatest of each number") {
  const std::string most = std::to_string(INT_MAX);
  CHECK(Line(with(2, "0")).options.slot == 0);
  CHECK(Line(with(2, most)).options.slot == INT_MAX);
  CHECK(Line(with(4, std::to_string(INT64_MAX))).options.generation == INT64_MAX);
  CHECK(Line(with(6, "-1")).options.drain_limit_ms == -1);
  CHECK(Line(with(6, most)).options.drain_limit_ms == INT_MAX);
  CHECK(Line(with(8, "0")).options.term_grace_ms == 0);
  CHECK(Line(with(10, "")).is_good);
  CHECK(std::string(Line(with(10, "")).options.listeners).empty());
}

TEST_CASE("options: a number that is none, or out of its range, is refused") {
  const std::string beyond = std::to_string(INT_MAX + 1LL);
  for (const std::size_t at : {2, 4, 6, 8}) {
    for (const std::string bad :
         {"", " ", "x", "1x", "1 ", "0x10", "1.5", "-2", "--", "99999999999999999999"}) {
      CAPTURE(at);
      CAPTURE(bad);
      CHECK(!Line(with(at, bad)).is_good);
    }
  }
  for (const std::size_t at : {2, 6, 8}) CHECK(!Line(with(at, beyond)).is_good);
  for (const std::size_t at : {2, 4, 8}) CHECK(!Line(with(at, "-1")).is_good);
  for (const std::string bad : {"", "-1", "1s", beyond.c_str()})
    CHECK(!Line(worker({"--keepalive-grace", bad, "/app.so"})).is_good);
  CHECK(!Line(worker({"--heartbeat", "0", "/app.so"})).is_good);
}

TEST_CASE("options: each of the first words has its place") {
  for (const std::size_t at : {1, 3, 5, 7, 9}) {
    for (const std::string bad : {"", "-", "--slots", "--slo", "slot", "--entry"}) {
      CAPTURE(at);
      CHECK(!Line(with(at, bad)).is_good);
    }
  }
  Words swapped = worker({"/app.so"});
  std::swap(swapped[1], swapped[3]);
  CHECK(!Line(swapped).is_good);
}

TEST_CASE("options: a line that ends too soon is refused") {
  const Words whole = worker({"--entry", "main", "/app.so"});
  for (std::size_t size = 1; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(!Line(Words(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).is_good);
  }
  CHECK(Line(whole).is_good);
  CHECK(!Line(Words{}).is_good);
}

TEST_CASE("options: words that no master writes before the path are refused") {
  for (const Words& bad : std::vector<Words>{{"--entry", "", "/a"},
                                             {"--entry", "/a"},
                                             {"--intercept", "ptrace", "/a"},
                                             {"--intercept", "", "/a"},
                                             {"--intercept", "libcs", "/a"},
                                             {"--keepalive", "End", "/a"},
                                             {"--keepalive", "/a"},
                                             {"--unknown", "1", "/a"},
                                             {"-e", "main", "/a"},
                                             {"app.so"},
                                             {"./app.so"},
                                             {""},
                                             {"--"},
                                             {"--", "/a"}}) {
    CAPTURE(bad.front());
    CHECK(!Line(worker(bad)).is_good);
  }
}

TEST_CASE("options: in the environment the words leave the application's line as it shall be") {
  Words words = without_name(worker({"--entry", "main"}));
  const Environment environment(words);
  const Line line({"/opt/server", "--port", "80"});
  REQUIRE(line.is_good);
  CHECK(line.options.mode == MODE_WORKER);
  CHECK(line.options.slot == 3);
  CHECK(std::string(line.options.entry) == "main");
  CHECK(std::string(line.options.listeners) == "a,b,c");
  CHECK(std::string(line.options.path) == "/opt/server");
  REQUIRE(line.options.argument_count == 3);
  CHECK(line.options.arguments == line.argv.data());
  CHECK(std::string(line.options.arguments[2]) == "80");
  // Its children are no workers.
  CHECK(::getenv(LIVESWAP_WORKER_VARIABLE) == nullptr);
}

TEST_CASE("options: in the environment an empty list of listeners is an empty line") {
  Words words = without_name(worker({}));
  words.back() = "";
  const Environment environment(words);
  const Line line({"/opt/server"});
  REQUIRE(line.is_good);
  CHECK(std::string(line.options.listeners).empty());
}

TEST_CASE("options: in the environment what is damaged is refused as on the line, and removed") {
  const Words good = without_name(worker({}));
  std::vector<Words> damaged{{}, {""}, {"--slot"}};
  for (std::size_t at = 0; at + 1 < good.size(); ++at) {
    damaged.push_back(good);
    damaged.back()[at] = "x";
  }
  for (std::size_t size = 1; size < good.size(); ++size)
    damaged.emplace_back(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
  damaged.push_back(worker({}));
  damaged.push_back(without_name(worker({"/other/server"})));
  damaged.push_back(without_name(worker({"--entry", "main", "/other/server", "80"})));
  for (const Words& words : damaged) {
    const Environment environment(words);
    CHECK(!Line({"/opt/server"}).is_good);
    CHECK(::getenv(LIVESWAP_WORKER_VARIABLE) == nullptr);
  }
}

TEST_CASE("options: in the environment no line and a line too long are refused") {
  {
    const Environment environment(without_name(worker({})));
    CHECK(!Line(Words{}).is_good);
  }
  {
    const Environment environment(without_name(worker({})));
    CHECK(!Line({"server"}).is_good);  // no absolute path
  }
  Words many = without_name(worker({}));
  while (many.size() < 500) many.insert(many.end(), {"--entry", "main"});
  const Environment environment(many);
  CHECK(!Line({"/opt/server"}).is_good);
}

TEST_CASE("options: a check's line") {
  const Line line({"liveswap-worker", "--check", "--entry", "main", "/app.so", "-p", "80"});
  REQUIRE(line.is_good);
  CHECK(line.options.mode == MODE_CHECK);
  CHECK(line.options.slot == -1);
  CHECK(line.options.drain_limit_ms == -1);
  CHECK(std::string(line.options.entry) == "main");
  CHECK(std::string(line.options.path) == "/app.so");
  CHECK(line.options.argument_count == 3);
  CHECK(!Line({"liveswap-worker", "--check"}).is_good);
  CHECK(!Line({"liveswap-worker", "--check", "app.so"}).is_good);
  CHECK(!Line({"liveswap-worker", "--check", "--entry", "/app.so"}).is_good);
  CHECK(!Line({"liveswap-worker", "/app.so", "--check"}).is_good);
}

TEST_CASE("options: a pre-upgrade plugin's line has a path and a value, which is no argument") {
  const Line line({"liveswap-worker", "--pre-upgrade", "/plugin.so", "a value"});
  REQUIRE(line.is_good);
  CHECK(line.options.mode == MODE_PRE_UPGRADE);
  CHECK(line.options.slot == -1);
  CHECK(std::string(line.options.path) == "/plugin.so");
  CHECK(std::string(line.options.value) == "a value");
  CHECK(line.options.argument_count == 1);
  CHECK(line.options.arguments[1] == nullptr);
  CHECK(Line({"liveswap-worker", "--pre-upgrade", "/plugin.so", ""}).is_good);
  CHECK(!Line({"liveswap-worker", "--pre-upgrade", "/plugin.so"}).is_good);
  CHECK(!Line({"liveswap-worker", "--pre-upgrade", "/plugin.so", "a", "b"}).is_good);
  CHECK(!Line({"liveswap-worker", "--pre-upgrade", "plugin.so", "a"}).is_good);
  CHECK(!Line({"liveswap-worker", "--pre-upgrade"}).is_good);
}

TEST_CASE("options: a check and a pre-upgrade plugin leave the environment alone") {
  const Environment environment(without_name(worker({})));
  CHECK(Line({"liveswap-worker", "--check", "/app.so"}).options.mode == MODE_CHECK);
  CHECK(Line({"liveswap-worker", "--pre-upgrade", "/plugin.so", "v"}).options.mode == MODE_PRE_UPGRADE);
}

TEST_CASE("options: whether the filter is on") {
  CHECK(!options_seccomp_is_on());
  options_set_seccomp(true);
  CHECK(options_seccomp_is_on());
  options_set_seccomp(false);
  CHECK(!options_seccomp_is_on());
}
