#include "cli/start_options.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.hpp"
#include "cli/option_table.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::cli;
using liveswap::test::TempDir;
using namespace std::chrono_literals;

namespace {

Result<Options> options_of(std::vector<std::string> words) {
  words.insert(words.begin(), "start");
  return parse_arguments(words, {}).and_then(
      [](const Arguments& arguments) { return start_options(arguments); });
}

std::string error_of(const std::vector<std::string>& words) {
  const auto options = options_of(words);
  return options ? "no error" : options.error().text;
}

struct File {
  explicit File(const std::string& text) : path(directory.write("liveswap.yaml", text)) {}
  TempDir directory;
  std::string path;
};

}  // namespace

TEST_CASE("every option arrives") {
  const auto o = options_of({"lib.so",
                             "-p",
                             "3001",
                             "-a",
                             "127.0.0.2",
                             "-f",
                             "auto",
                             "-H",
                             "h",
                             "--pre-upgrade",
                             "p.so",
                             "-z",
                             "--force-target",
                             "--listen",
                             "web=127.0.0.1:80",
                             "--listen",
                             "unix:s",
                             "--listen-mode",
                             "shared",
                             "--backlog",
                             "9",
                             "--batch",
                             "2",
                             "--surge",
                             "50%",
                             "--canary",
                             "10%",
                             "--bake",
                             "8s",
                             "--probation",
                             "9s",
                             "--max-memory",
                             "512M",
                             "--max-draining",
                             "300%",
                             "--health",
                             "web=connect",
                             "--health",
                             "GET / 200",
                             "--health-interval",
                             "10s",
                             "--health-limit",
                             "11s",
                             "--liveness",
                             "web=GET /up",
                             "--liveness-interval",
                             "15s",
                             "--liveness-limit",
                             "16s",
                             "--liveness-failures",
                             "17",
                             "--keep-releases",
                             "12",
                             "--check-limit",
                             "13s",
                             "--settle",
                             "1ms",
                             "--ready-limit",
                             "2s",
                             "--listener-wait",
                             "14s",
                             "--no-await-listener",
                             "--drain-limit",
                             "none",
                             "--term-grace",
                             "3s",
                             "--pre-upgrade-limit",
                             "4s",
                             "--backoff-min",
                             "5ms",
                             "--backoff-max",
                             "6s",
                             "--backoff-reset",
                             "7s",
                             "--env",
                             "A=1,2",
                             "--working-directory",
                             "w",
                             "--limit",
                             "nofile=100",
                             "--state-dir",
                             "st",
                             "--runtime-dir",
                             "/r",
                             "--worker-host",
                             "wh",
                             "--log-file",
                             "l",
                             "--",
                             "x",
                             "--y"});
  INFO((o ? std::string() : o.error().text));
  REQUIRE(o.has_value());
  const std::string here = current_directory() + "/";
  CHECK(o->target == here + "lib.so");
  CHECK(o->port == 3001);
  CHECK(o->address == "127.0.0.2");
  CHECK(o->forks == 0);
  CHECK(o->head == here + "h");
  CHECK(o->pre_upgrade == here + "p.so");
  CHECK_FALSE(o->zero_downtime);
  CHECK(o->force_target);
  REQUIRE(o->listen.size() == 2);
  CHECK(o->listen[0].name == "web");
  CHECK(o->listen[0].address == "127.0.0.1:80");
  CHECK(o->listen[1].address == "unix:" + here + "s");
  CHECK(o->listen_mode == ListenMode::shared);
  CHECK(o->backlog == 9);
  CHECK(o->batch == 2);
  CHECK(o->surge.value == 50);
  CHECK(o->surge.percent);
  CHECK(o->canary.value == 10);
  CHECK(o->canary.percent);
  CHECK(o->bake == 8s);
  CHECK(o->probation == 9s);
  CHECK(o->max_memory == 512ULL << 20);
  CHECK(o->max_draining.value == 300);
  CHECK(o->max_draining.percent);
  CHECK(o->health == std::vector<std::string>{"web=connect", "GET / 200"});
  CHECK(o->health_interval == 10s);
  CHECK(o->health_limit == 11s);
  CHECK(o->liveness == "web=GET /up");
  CHECK(o->liveness_interval == 15s);
  CHECK(o->liveness_limit == 16s);
  CHECK(o->liveness_failures == 17);
  CHECK(o->keep_releases == 12);
  CHECK(o->check_limit == 13s);
  CHECK_FALSE(o->flip);
  CHECK(o->settle == 1ms);
  CHECK(o->ready_limit == 2s);
  CHECK(o->listener_wait == 14s);
  CHECK_FALSE(o->await_listener);
  CHECK(o->drain_limit < 0ms);
  CHECK(o->term_grace == 3s);
  CHECK(o->pre_upgrade_limit == 4s);
  CHECK(o->backoff_min == 5ms);
  CHECK(o->backoff_max == 6s);
  CHECK(o->backoff_reset == 7s);
  CHECK(o->environment.at("A") == "1,2");
  CHECK(o->working_directory == here + "w");
  REQUIRE(o->limits.size() == 1);
  CHECK(o->limits[0].value == 100);
  CHECK(o->state_dir == here + "st");
  CHECK(o->runtime_dir == "/r");
  CHECK(o->worker_host == here + "wh");
  CHECK(o->log_file == here + "l");
  CHECK(o->arguments == std::vector<std::string>{"x", "--y"});
}

TEST_CASE("flip") {
  CHECK(options_of({"--flip"})->flip);
  CHECK(error_of({"--flip", "--canary", "1"})
            .starts_with("flip: found true with canary 1, expected one of the two"));
}

TEST_CASE("every option of start has a meaning there") {
  for (const Option& option : option_table()) {
    if (!contains(option.commands, Command::start) || option.section == Section::other) continue;
    CAPTURE(option.name);
    // Without a setter, start would refuse the option like one of another command.
    const auto words = option.takes == Takes::nothing
                           ? std::vector<std::string>{"--" + std::string(option.name)}
                           : std::vector<std::string>{"--" + std::string(option.name), ""};
    CHECK(error_of(words).find("means nothing") == std::string::npos);
  }
}

TEST_CASE("the command line wins over the file") {
  const File file(
      "forks: 5\nbatch: 3\nlisten: [127.0.0.1:81, 127.0.0.1:82]\nenvironment: {A: file, B: file}\n"
      "limits: {core: 1, nofile: 2}\narguments: [from, file]\ntarget: lib.so\n"
      "health: connect\n");
  const auto o = options_of(
      {"-c", file.path, "-f", "4", "--listen", "127.0.0.1:80", "--env", "A=line", "--limit", "nofile=3"});
  INFO((o ? std::string() : o.error().text));
  REQUIRE(o.has_value());
  CHECK(o->forks == 4);
  CHECK(o->batch == 3);
  REQUIRE(o->listen.size() == 1);
  CHECK(o->listen[0].address == "127.0.0.1:80");
  CHECK(o->environment.at("A") == "line");
  CHECK(o->environment.at("B") == "file");
  REQUIRE(o->limits.size() == 2);
  CHECK(o->limits[1].value == 3);
  CHECK(o->arguments == std::vector<std::string>{"from", "file"});
  CHECK(o->target == std::filesystem::path(file.path).parent_path().string() + "/lib.so");
  CHECK(o->health == std::vector<std::string>{"connect"});
  CHECK(options_of({"-c", file.path, "--health", "GET /"})->health == std::vector<std::string>{"GET /"});
  CHECK(options_of({"-c", file.path, "--"})->arguments.empty());
  CHECK(options_of({"-c", file.path})->listen.size() == 2);
}

TEST_CASE("mistakes name the option") {
  CHECK(error_of({"--forks", "x"}).substr(0, 8) == "--forks:");
  CHECK(error_of({"--settle", "5"}).substr(0, 9) == "--settle:");
  CHECK(error_of({"--head="}) == "--head: found \"\", expected a path");
  CHECK(error_of({"-c", "/does/not/exist.yaml"}).find("/does/not/exist.yaml") != std::string::npos);
}
