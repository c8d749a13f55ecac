// The master's user and root find a master from any environment; other users learn to whom it belongs.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "support/nobody.hpp"

namespace scenario {
namespace {

// Runs a command in another environment, as from a login session beside a service.
Finished from_elsewhere(Scenario& scenario, const Site& site, const Words& words, const Words& prefix = {}) {
  const std::string other = scenario.dir / "other";
  const Words bare{"env",
                   "-i",
                   "PATH=/usr/bin:/bin",
                   "HOME=" + other,
                   "XDG_RUNTIME_DIR=" + other,
                   "XDG_STATE_HOME=" + other};
  return run(scenario.dir,
             {prefix + bare + Words{liveswap_program()} + words + Words{"-p", site.control_port()}});
}

TEST_CASE_FIXTURE(Scenario, "the same user in another environment") {
  Instance app(*this, fixture("version_v1"));
  for (const Words& words : {Words{"status"}, {"upgrade", fixture("version_v2")}, {"history"}}) {
    const auto finished = from_elsewhere(*this, app.site(), words);
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  }
  CHECK(app.serves(fixture("version_v2")));
}

TEST_CASE_FIXTURE(Scenario, "root and the master of another user") {
  auto site = std::make_shared<Site>(*this);
  if (::geteuid() != 0 || !become_nobody(*site)) return;
  Instance app(site, fixture("version_v1"));
  const auto status = from_elsewhere(*this, *site, {"status"});
  CHECK_MESSAGE(status.status == Exit::ok, status.err);
  CHECK(contains(status.err, "belongs to nobody (pid " + std::to_string(app.master().pid()) + ")"));
  const auto upgraded = from_elsewhere(*this, *site, {"upgrade", fixture("version_v2")});
  CHECK(upgraded.status == Exit::ok);
  CHECK(contains(upgraded.err, "belongs to nobody (pid " + std::to_string(app.master().pid()) + ")"));
}

TEST_CASE_FIXTURE(Scenario,
                  "root's own instance is down: its commands do not go to another user's on that port") {
  auto site = std::make_shared<Site>(*this);
  if (::geteuid() != 0 || !become_nobody(*site)) return;
  Instance app(site, fixture("version_v1"));
  const std::string own = dir / ("other/liveswap/" + site->control_port());
  std::filesystem::create_directories(own);
  write_file(own + "/HEAD", fixture("version_v2") + "\n");
  const Words upgrade{"upgrade", fixture("version_v2")};
  const auto refused = from_elsewhere(*this, *site, upgrade);
  CHECK(refused.status == Exit::refused);
  CHECK(contains(refused.err, "belongs to nobody (pid " + std::to_string(app.master().pid()) + ")"));
  CHECK(contains(refused.err, own + "/HEAD"));
  CHECK(app.serves(fixture("version_v1")));
  CHECK(from_elsewhere(*this, *site, {"status"}).status == Exit::ok);
  const std::string socket_directory = std::filesystem::path(site->control_socket()).parent_path();
  const auto meant = from_elsewhere(*this, *site, upgrade + Words{"--runtime-dir", socket_directory});
  CHECK_MESSAGE(meant.status == Exit::ok, meant.err);
  CHECK(app.serves(fixture("version_v2")));
}

TEST_CASE_FIXTURE(Scenario, "whoever may not control a master learns whose it is") {
  Site stranger(*this, "stranger");
  if (::geteuid() != 0 || !become_nobody(stranger)) return;
  Instance app(*this, fixture("version_v1"));
  const auto finished = from_elsewhere(*this, app.site(), {"status"}, stranger.prefix);
  CHECK(finished.status == Exit::refused);
  CHECK(contains(finished.err, "the master on port " + app.site().control_port() + " belongs to root"));
  CHECK(contains(finished.err, "use sudo"));
}

TEST_CASE_FIXTURE(Scenario, "a list of what runs, wherever it was started") {
  Instance one(*this, fixture("version_v1"));
  Instance other(std::make_shared<Site>(*this, "other-site"), fixture("version_v1"));
  const auto json = run(dir, {{liveswap_program(), "list", "--json"}});
  REQUIRE(json.status == Exit::ok);
  for (Instance* app : {&one, &other}) {
    bool found = false;
    for (const auto& listed : Json::parse(json.out))
      if (std::to_string(listed.at("port").get<int>()) == app->site().control_port()) {
        found = true;
        CHECK(listed.at("pid") == app->master().pid());
        CHECK(listed.at("state") == "running");
        CHECK(listed.at("head") == fixture("version_v1"));
      }
    CHECK(found);
  }
  CHECK(contains(run(dir, {{liveswap_program(), "list"}}).out, one.site().control_port()));
}

TEST_CASE_FIXTURE(Scenario, "a worker's memory and requests, and why a slot was restarted") {
  Instance app(*this, fixture("version_v1"), {"--forks", "1"});
  const pid_t before = app.workers().at(0);
  CHECK(app.status()["slots"][0]["last_failure"].is_null());
  ::kill(before, SIGKILL);
  REQUIRE(eventually(
      [&] { return app.status()["slots"][0]["last_failure"].is_object() && app.workers().size() == 1; }));
  const auto slot = app.status()["slots"][0];
  CHECK(slot["restarts"] == 1);
  CHECK(contains(slot["last_failure"]["text"].get<std::string>(), "SIGKILL"));
  const auto& worker = slot["workers"][0];
  CHECK(worker["rss"].get<long>() > 100'000);
  CHECK((worker["requests"].is_null() || worker["requests"].is_number()));
  const auto people = app.run("status").out;
  CHECK(contains(people, worker["id"].get<std::string>().substr(0, 8)));
  CHECK(contains(people, "SIGKILL"));
}

TEST_CASE_FIXTURE(Scenario, "a watched status survives the master") {
  auto site = std::make_shared<Site>(*this);
  auto app = std::make_unique<Instance>(site, fixture("version_v1"), Words{"--forks", "1"});
  Process watch = site->launch("status", {"--watch", "100ms"});
  REQUIRE(watch.says("master        running"));
  app.reset();
  CHECK(watch.says("the master has been away for"));
  app = std::make_unique<Instance>(site, fixture("version_v1"), Words{"--forks", "1"});
  CHECK(watch.says("a master came back"));
  CHECK(watch.running());
  watch.signal(SIGTERM);
  CHECK(watch.wait().status == 128 + SIGTERM);
  CHECK(site->run("stop").status == Exit::ok);
  CHECK(site->run("status", {"--watch"}).status == Exit::no_master);
}

}  // namespace
}  // namespace scenario
