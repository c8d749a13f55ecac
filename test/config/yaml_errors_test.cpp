#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <random>

#include "config/yaml.hpp"
#include "file.hpp"
#include "shown.hpp"

using namespace liveswap;

namespace {

// The errors of a file with this text, without the path of the file's directory.
std::string errors_of(const std::string& text) {
  const ConfigFile file(text);
  std::string errors = error_of(config::load_yaml(file.path(), {}));
  const std::string prefix = file.directory() + "/";
  for (auto at = errors.find(prefix); at != std::string::npos; at = errors.find(prefix))
    errors.erase(at, prefix.size());
  return errors;
}

struct Row {
  const char* text;
  const char* error;
};

void check_all(std::initializer_list<Row> rows) {
  for (const auto& [text, error] : rows) {
    CAPTURE(text);
    CHECK(errors_of(text) == "liveswap.yaml:" + std::string(error));
  }
}

}  // namespace

TEST_CASE("unknown keys and the nearest right one") {
  check_all(
      {{"fork: 2", "1:1: unknown key \"fork\", did you mean \"forks\"?"},
       {"port: 1\n\nzero_downtime: true",
        "3:1: unknown key \"zero_downtime\", did you mean \"zero-downtime\"?"},
       {"preupgrade: x", "1:1: unknown key \"preupgrade\", did you mean \"pre-upgrade\"?"},
       {"listen: [{nam: a, address: \"*:1\"}]", "1:11: listen: unknown key \"nam\", did you mean \"name\"?"},
       {"limits:\n  nofiles: 1", "2:3: limits: unknown limit \"nofiles\", did you mean \"nofile\"?"}});
  const auto errors = errors_of("frobnicate: 1");
  CHECK(
      errors.find(
          "liveswap.yaml:1:1: unknown key \"frobnicate\", expected one of target, port, address, forks, ") ==
      0);
}

TEST_CASE("values of the wrong type") {
  for (const char* key : {"target",         "port",
                          "address",        "forks",
                          "head",           "pre-upgrade",
                          "zero-downtime",  "listen-mode",
                          "backlog",        "batch",
                          "canary",         "bake",
                          "probation",      "max-memory",
                          "flip",           "check-limit",
                          "keep-releases",  "health-interval",
                          "health-limit",   "surge",
                          "max-draining",   "settle",
                          "ready-limit",    "drain-limit",
                          "term-grace",     "pre-upgrade-limit",
                          "backoff-min",    "backoff-max",
                          "backoff-reset",  "working-directory",
                          "user",           "group",
                          "auth",           "state-dir",
                          "runtime-dir",    "log-file",
                          "listener-wait",  "await-listener",
                          "liveness",       "liveness-interval",
                          "liveness-limit", "liveness-failures"}) {
    const std::string name = key;
    const std::string column = std::to_string(name.size() + 3);
    CHECK(errors_of(name + ": [1]") ==
          "liveswap.yaml:1:" + column + ": " + name + ": found a list, expected a single value");
    CHECK(errors_of(name + ": {a: 1}") ==
          "liveswap.yaml:1:" + column + ": " + name + ": found a map, expected a single value");
    CHECK(errors_of(name + ":") == "liveswap.yaml:1:1: " + name + ": found nothing, expected a single value");
    CHECK(errors_of(name + ": \"\"")
              .find("liveswap.yaml:1:" + column + ": " + name + ": found \"\", expected ") == 0);
  }
  check_all({{"listen: {name: a}", "1:9: listen: found a map, expected a list"},
             {"listen: [[a]]", "1:10: listen: found a list, expected a single value"},
             {"health: {a: b}", "1:9: health: found a map, expected a list"},
             {"health: [\"\"]",
              "1:10: health: found \"\", expected [NAME=]connect, [NAME=]GET /path [STATUS] or run "
              "/path/to/command"},
             {"arguments: --all", "1:12: arguments: found a single value, expected a list"},
             {"arguments: [a, [b]]", "1:16: arguments: found a list, expected a single value"},
             {"arguments:\n- a\n-", "1:1: arguments: found nothing, expected a single value"},
             {"environment: [A]", "1:14: environment: found a list, expected a map"},
             {"environment:\n  A:", "2:3: environment: \"A\": found nothing, expected a single value"},
             {"limits: 5", "1:9: limits: found a single value, expected a map"},
             {"- port", "1:1: found a list, expected a map of options"},
             {"port 3", "1:1: found a single value, expected a map of options"}});
}

TEST_CASE("values out of range") {
  check_all(
      {{"port: 0", "1:7: port: found \"0\", expected a number from 1 to 65535"},
       {"port: 0x50", "1:7: port: found \"0x50\", expected a number from 1 to 65535"},
       {"address: 127.0.0.1:80",
        "1:10: address: found \"127.0.0.1:80\", expected an address or a name, without a port"},
       {"forks: 1025", "1:8: forks: found \"1025\", expected a number from 1 to 1024, or auto"},
       {"zero-downtime: yes", "1:16: zero-downtime: found \"yes\", expected true or false"},
       {"listen-mode: both", "1:14: listen-mode: found \"both\", expected reuseport or shared"},
       {"backlog: -1", "1:10: backlog: found \"-1\", expected a number from 1 to 2147483647"},
       {"batch: 0", "1:8: batch: found \"0\", expected a number from 1 to 1024, or auto"},
       {"surge: 2000%",
        "1:8: surge: found \"2000%\", expected a number from 0 to 1024 or a share from 0% to 1000%"},
       {"settle: 5", "1:9: settle: found \"5\", expected a unit behind it: 5ms, 5s, 5m or 5h"},
       {"drain-limit: nix",
        "1:14: drain-limit: found \"nix\", expected a duration such as 100ms, 2s, 1m or 1h, or none"},
       {"listen: 80", "1:9: listen: found \"80\", expected host:port, [::1]:port, *:port or unix:/path"},
       {"listen:\n- {name: a b, address: '*:1'}",
        "2:10: listen: \"name\": found \"a b\", expected 1 to 64 letters, digits, \".\", \"_\" or \"-\""},
       {"listen:\n- {name: a}", "2:3: listen: found a map without an address, expected name and address"},
       {"limits: {core: lots}",
        "1:16: limits: \"core\": found \"lots\", expected a number such as 1024 or 64M (K, M, G, T), or "
        "unlimited"},
       {"environment: {\"A=B\": 1}",
        "1:15: environment: found the name \"A=B\", expected a name that is not empty and has no \"=\""}});
}

TEST_CASE("keys that are there twice") {
  check_all({{"port: 1\nforks: 1\nport: 2", "3:1: the key \"port\" is there twice, first in line 1"},
             {"environment:\n  A: 1\n  A: 2", "3:3: the key \"A\" is there twice, first in line 2"},
             {"limits: {core: 1, core: 2}", "1:19: the key \"core\" is there twice, first in line 1"}});
}

TEST_CASE("every error of a file is reported") {
  CHECK(errors_of("fork: 2\nport: x\nsettle: 1\nlisten: [a, 'b:1', c]\n") ==
        "liveswap.yaml:1:1: unknown key \"fork\", did you mean \"forks\"?\n"
        "liveswap.yaml:2:7: port: found \"x\", expected a number from 1 to 65535\n"
        "liveswap.yaml:3:9: settle: found \"1\", expected a unit behind it: 1ms, 1s, 1m or 1h\n"
        "liveswap.yaml:4:10: listen: found \"a\", expected host:port, [::1]:port, *:port or unix:/path\n"
        "liveswap.yaml:4:20: listen: found \"c\", expected host:port, [::1]:port, *:port or unix:/path");
}

TEST_CASE("a relative socket may be too long only once it is absolute") {
  const std::string path(100, 's');
  CHECK(errors_of("listen: unix:" + path).find("liveswap.yaml:1:9: listen: found a path of ") == 0);
}

TEST_CASE("what is no small regular file") {
  const ConfigFile file("");
  CHECK(error_of(config::load_yaml(file.directory() + "/none", {})) ==
        "cannot open " + file.directory() + "/none: No such file or directory");
  CHECK(error_of(config::load_yaml(file.directory(), {})) ==
        file.directory() + " is a directory, not a regular file");
  const std::string fifo = file.directory() + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(error_of(config::load_yaml(fifo, {})) == fifo + " is a FIFO, not a regular file");
  CHECK(error_of(config::load_yaml("/dev/zero", {})) == "/dev/zero is a device, not a regular file");
}

TEST_CASE("a mebibyte and no byte more") {
  const std::string most = "port: 80\n#" + std::string(1024 * 1024 - 10, 'x');
  CHECK(errors_of(most) == "");
  CHECK(errors_of(most + "x") == "liveswap.yaml has more than 1048576 bytes");
}

TEST_CASE("a damaged file of options never does more than fail") {
  const std::string good =
      "target: libapp.so\nforks: auto\nlisten:\n  - web=*:80\n  - {name: a, address: \"unix:/a\"}\n"
      "settle: 10ms\nsurge: 50%\nenvironment: {A: 'b'}\nlimits: {core: unlimited}\narguments: [x, y]\n";
  std::mt19937 random(4711);
  const ConfigFile file("");
  for (int round = 0; round < 3'000; ++round) {
    std::string text = good;
    for (unsigned edits = 1 + random() % 6; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      if (random() % 2) text[at] = good[random() % good.size()];
      else text.insert(at, good.substr(random() % good.size(), random() % 12));
    }
    std::ofstream(file.path(), std::ios::binary) << text;
    const auto options = config::load_yaml(file.path(), {});
    if (!options) CHECK(options.error().text.find(file.path() + ":") == 0);
  }
}
