// Deployments that move a symbolic link, `current`: each upgrade looks the given path up again.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

namespace fs = std::filesystem;

// releases/1 and releases/2, each with a libapp.so, and the link `current` to one of them.
class Deployment {
 public:
  explicit Deployment(const TempDir& dir) : root_(dir.directory("srv")) {
    for (const char* number : {"1", "2"}) {
      fs::create_directories(release(number));
      fs::copy_file(fixture(std::string("version_v") + number), release(number) + "/libapp.so");
    }
    point_to("1");
  }
  std::string release(const std::string& number) const { return root_ + "/releases/" + number; }
  std::string current() const { return root_ + "/current"; }
  void point_to(const std::string& number) const {
    fs::remove(root_ + "/new");
    fs::create_directory_symlink("releases/" + number, root_ + "/new");
    fs::rename(root_ + "/new", current());
  }

 private:
  std::string root_;
};

// As from a shell that has changed its directory to `current`: $PWD has that name.
Process::Setup within(const Deployment& deployment, Process::Setup setup) {
  setup.directory = deployment.current();
  setup.environment["PWD"] = deployment.current();
  return setup;
}

pid_t only_worker(const Site& site) {
  const auto now = site.status();
  const auto& workers = now.at("slots")[0]["workers"];
  return workers.empty() ? 0 : workers[0]["pid"].get<pid_t>();
}

// Waits until another worker than this one serves, and returns it.
pid_t after_death_of(const Site& site, pid_t worker) {
  ::kill(worker, SIGKILL);
  pid_t next = 0;
  REQUIRE(eventually([&] {
    const auto now = site.status();
    const auto& workers = now.at("slots")[0]["workers"];
    next = workers.size() == 1 && workers[0]["state"] == "ready" ? workers[0]["pid"].get<pid_t>() : 0;
    return next != 0 && next != worker;
  }));
  return next;
}

void check_deploy(Scenario& scenario, const Deployment& deployment, const Words& words) {
  const Site site(scenario);
  const auto start = site.command("start", Words{"--forks", "1", "--listen", site.address()} + words);
  Process master(scenario.dir, within(deployment, start));
  REQUIRE(eventually([&] { return site.status().value("state", "") == "running"; }));
  CHECK(read_file(site.head_path()) == deployment.current() + "/libapp.so\n");
  CHECK(contains(http_get(site.address()), "v1"));

  deployment.point_to("2");
  const auto upgrade = run(scenario.dir, within(deployment, site.command("upgrade")));
  CHECK_MESSAGE(upgrade.status == Exit::ok, upgrade.err);
  CHECK_FALSE(contains(upgrade.out, "same content"));
  CHECK(contains(http_get(site.address()), "v2"));
  CHECK(read_file(site.head_path()) == deployment.current() + "/libapp.so\n");
  const auto worker = only_worker(site);
  CHECK(proc::working_directory(worker) == deployment.release("2"));

  fs::remove_all(deployment.release("1"));
  const auto next = after_death_of(site, worker);
  CHECK(contains(http_get(site.address()), "v2"));
  CHECK(proc::working_directory(next) == deployment.release("2"));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a moved link: started in it, by a relative path") {
  check_deploy(*this, Deployment(dir), {"libapp.so"});
}

TEST_CASE_FIXTURE(Scenario, "a moved link: started by an absolute path through it") {
  const Deployment deployment(dir);
  check_deploy(*this, deployment, {deployment.current() + "/libapp.so"});
}

TEST_CASE_FIXTURE(Scenario, "a moved link: the workers' directory goes through it") {
  const Deployment deployment(dir);
  check_deploy(*this, deployment, {"libapp.so", "--working-directory", deployment.current()});
}

TEST_CASE_FIXTURE(Scenario, "a moved link: upgraded from the new directory, by a relative path") {
  const Deployment deployment(dir);
  Instance app(*this, deployment.current() + "/libapp.so", {"--forks", "1"});
  deployment.point_to("2");
  const auto upgrade = run(dir, within(deployment, app.site().command("upgrade", {"libapp.so"})));
  CHECK(upgrade.status == Exit::ok);
  CHECK(app.head() == deployment.current() + "/libapp.so\n");
  CHECK(contains(http_get(app.address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "workers go on where the directory they were started in has been removed") {
  const Deployment deployment(dir);
  const Site site(*this);
  auto start = site.command("start", {"--forks", "1", "--listen", site.address(), "libapp.so"});
  start.directory = deployment.release("1");
  start.environment["PWD"] = deployment.release("1");
  Process master(dir, start);
  REQUIRE(eventually([&] { return site.status().value("state", "") == "running"; }));
  fs::remove_all(deployment.release("1"));
  after_death_of(site, only_worker(site));
  CHECK(contains(http_get(site.address()), "v1"));
  CHECK(site.run("upgrade", {deployment.release("2") + "/libapp.so"}).status == Exit::ok);
  CHECK(contains(http_get(site.address()), "v2"));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "an upgrade to the same content says so, in the answer and in the log") {
  Instance app(*this, fixture("version_v1"), {"--forks", "1"});
  const auto id = app.status()["release_id"].get<std::string>();
  const auto upgrade = app.run("upgrade");
  CHECK(upgrade.status == Exit::ok);
  const std::string remark =
      "the file has the same content as the release that serves (" + id.substr(0, 12) + ")";
  CHECK(contains(upgrade.out, remark));
  CHECK(contains(app.master().err(), remark));
  CHECK(app.status()["generation"] == 2);
  CHECK_FALSE(contains(app.upgrade(fixture("version_v2")).out, "same content"));
}

}  // namespace
}  // namespace scenario
