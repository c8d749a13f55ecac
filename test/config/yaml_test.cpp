#include "config/yaml.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "base/file.hpp"
#include "file.hpp"
#include "shown.hpp"

using namespace liveswap;
using namespace std::chrono_literals;

namespace {

Options load(const std::string& text, const Options& defaults = {}) {
  const ConfigFile file(text);
  const auto options = config::load_yaml(file.path(), defaults);
  REQUIRE_MESSAGE(options, error_of(options));
  return *options;
}

}  // namespace

TEST_CASE("options of the original") {
  CHECK(load("port: 3001").port == 3001);
  CHECK(load("address: \"::1\"").address == "::1");
  CHECK(load("forks: 7").forks == 7);
  CHECK(load("forks: auto").forks == 0);
  CHECK(load("target: /srv/libapp.so").target == "/srv/libapp.so");
  CHECK(load("head: /srv/HEAD").head == "/srv/HEAD");
  CHECK(load("pre-upgrade: /srv/plugin.so").pre_upgrade == "/srv/plugin.so");
  CHECK_FALSE(load("zero-downtime: false").zero_downtime);
  CHECK(load("target: /v1.so\nforce-target: true").force_target);
}

TEST_CASE("numbers, words and durations") {
  CHECK(load("listen-mode: shared").listen_mode == ListenMode::shared);
  CHECK(load("backlog: 128").backlog == 128);
  CHECK(load("batch: 3").batch == 3);
  CHECK(load("surge: 2").surge.value == 2);
  CHECK(load("surge: 50%").surge.percent);
  CHECK(load("flip: true").flip);
  CHECK(load("canary: 10%").canary.value == 10);
  CHECK(load("bake: 5s").bake == 5s);
  CHECK(load("probation: 10s").probation == 10s);
  CHECK(load("probation: none").probation == 0ms);
  CHECK(load("max-memory: 2G").max_memory == 2ULL << 30);
  CHECK(load("health-interval: 3s").health_interval == 3s);
  CHECK(load("health-limit: 4s").health_limit == 4s);
  CHECK(load("liveness: GET /up 204").liveness == "GET /up 204");
  CHECK(load("liveness: heartbeat").liveness == "heartbeat");
  CHECK(load("liveness: none").liveness == "");
  CHECK(load("liveness-interval: 3s").liveness_interval == 3s);
  CHECK(load("liveness-limit: 4s").liveness_limit == 4s);
  CHECK(load("liveness-failures: 5").liveness_failures == 5);
  CHECK(load("keep-releases: 3").keep_releases == 3);
  CHECK(load("check-limit: 5s").check_limit == 5s);
  CHECK(load("health: connect").health == std::vector<std::string>{"connect"});
  CHECK(load("health: [connect, admin=GET /up 204]").health ==
        std::vector<std::string>{"connect", "admin=GET /up 204"});
  CHECK(load("settle: 0ms").settle == 0ms);
  CHECK(load("ready-limit: 2s").ready_limit == 2s);
  CHECK(load("drain-limit: 1h").drain_limit == 1h);
  CHECK(load("drain-limit: none").drain_limit == -1ms);
  CHECK(load("term-grace: 5s").term_grace == 5s);
  CHECK(load("pre-upgrade-limit: 10m").pre_upgrade_limit == 10min);
  CHECK(load("backoff-min: 1ms").backoff_min == 1ms);
  CHECK(load("backoff-max: 1s").backoff_max == 1s);
  CHECK(load("backoff-reset: 1m").backoff_reset == 1min);
  CHECK(load("user: www-data").user == "www-data");
  CHECK(load("group: 33").group == "33");
  CHECK_FALSE(load("auth: false").auth);
  CHECK(load("working-directory: /srv").working_directory == "/srv");
  CHECK(load("state-dir: /srv/s").state_dir == "/srv/s");
  CHECK(load("runtime-dir: /srv/r").runtime_dir == "/srv/r");
  CHECK(load("worker-host: /srv/w").worker_host == "/srv/w");
  CHECK(load("log-file: /srv/log").log_file == "/srv/log");
}

TEST_CASE("listeners as a text, a list of texts and a list of maps") {
  const auto one = load("listen: 127.0.0.1:80").listen;
  REQUIRE(one.size() == 1);
  CHECK(one[0].name == "");
  CHECK(one[0].address == "127.0.0.1:80");

  const auto many = load(
                        "listen:\n"
                        "  - web=*:80\n"
                        "  - \"[::1]:81\"\n"
                        "  - {name: admin, address: unix:/run/a=b.sock}\n"
                        "  - address: localhost:82\n")
                        .listen;
  REQUIRE(many.size() == 4);
  CHECK(many[0].name == "web");
  CHECK(many[1].address == "[::1]:81");
  CHECK(many[2].name == "admin");
  CHECK(many[2].address == "unix:/run/a=b.sock");
  CHECK(many[3].name == "");
}

TEST_CASE("arguments, environment and limits") {
  const auto options = load(
      "arguments: [--root, /srv/www, \"\", 8]\n"
      "environment: {A: b c, EMPTY: \"\", N: 1, LD_PRELOAD: /x.so}\n"
      "limits: {nofile: 65536, core: 0, memlock: 64M, as: unlimited}\n");
  CHECK(options.arguments == std::vector<std::string>{"--root", "/srv/www", "", "8"});
  CHECK(options.environment ==
        std::map<std::string, std::string>{{"A", "b c"}, {"EMPTY", ""}, {"N", "1"}, {"LD_PRELOAD", "/x.so"}});
  REQUIRE(options.limits.size() == 4);
  CHECK(options.limits[0].name == "nofile");
  CHECK(options.limits[0].value == 65536);
  CHECK(options.limits[2].value == 64 * 1024 * 1024);
  CHECK(options.limits[3].value == UINT64_MAX);
}

TEST_CASE("the file wins over the defaults and keeps the rest") {
  Options defaults;
  defaults.forks = 9;
  defaults.port = 4000;
  defaults.listen = {{"old", "*:1"}};
  defaults.environment = {{"OLD", "1"}};
  const auto options = load("port: 5000\nlisten: '*:2'\nenvironment: {NEW: 1}", defaults);
  CHECK(options.forks == 9);
  CHECK(options.port == 5000);
  REQUIRE(options.listen.size() == 1);
  CHECK(options.listen[0].address == "*:2");
  CHECK(options.environment.count("OLD") == 0);
  CHECK(load("# nothing\n", defaults).port == 4000);
}

TEST_CASE("relative paths are meant from the directory of the file") {
  const ConfigFile file(
      "target: libapp.so\nhead: ./HEAD\npre-upgrade: plugins/a.so\nworking-directory: .\n"
      "state-dir: s\nruntime-dir: ../r\nlog-file: log\n"
      "listen: [unix:a.sock, {address: \"unix:./b.sock\"}]\n");
  const auto options = config::load_yaml(file.path(), {});
  REQUIRE(options);
  const std::string base = file.directory() + "/";
  CHECK(options->target == base + "libapp.so");
  CHECK(options->head == base + "HEAD");
  CHECK(options->pre_upgrade == base + "plugins/a.so");
  CHECK(options->working_directory == file.directory());
  CHECK(options->state_dir == base + "s");
  CHECK(options->runtime_dir == base + "../r");
  CHECK(options->log_file == base + "log");
  CHECK(options->listen[0].address == "unix:" + base + "a.sock");
  CHECK(options->listen[1].address == "unix:" + base + "b.sock");
}

TEST_CASE("the path of the file itself may be relative") {
  const ConfigFile file("target: libapp.so");
  const std::string here = current_directory();
  REQUIRE(::chdir(file.directory().c_str()) == 0);
  const auto options = config::load_yaml("liveswap.yaml", {});
  REQUIRE(::chdir(here.c_str()) == 0);
  REQUIRE(options);
  CHECK(options->target == file.directory() + "/libapp.so");
}
