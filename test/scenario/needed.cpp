// Private libraries that a release finds by an absolute path, as in CMake's build tree.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

namespace fs = std::filesystem;

// The directory in the applications' RUNPATH.
class NeededPlace {
 public:
  NeededPlace() {
    fs::remove_all(path);
    fs::create_directories(path);
    put("libelsewhere.so", "libelsewhere.so");
    put("inner_first.so", "libinner.so");
  }
  ~NeededPlace() { fs::remove_all(path); }
  // Puts a new file under the name; the mapped file stays unchanged.
  static void put(const std::string& from, const std::string& name) {
    fs::copy_file(std::string(NEEDED_BUILD "/") + from, path + "/new");
    fs::rename(path + "/new", path + "/" + name);
  }
  static inline const std::string path = NEEDED_BUILD "/needed_place";
};

std::string needy(const std::string& name) { return NEEDED_BUILD "/lib" + name + ".so"; }

pid_t worker_of(const Instance& app) {
  const auto workers = app.workers();
  return workers.size() == 1 ? workers.front() : 0;
}

void kill_worker(const Instance& app) {
  const pid_t old = worker_of(app);
  ::kill(old, SIGKILL);
  REQUIRE(eventually([&] {
    const auto now = app.status();
    const auto& workers = now.at("slots")[0]["workers"];
    return workers.size() == 1 && workers[0]["pid"] != old && workers[0]["state"] == "ready";
  }));
}

TEST_CASE_FIXTURE(Scenario, "what is found by an absolute path belongs to the release") {
  const NeededPlace place;
  const auto site = std::make_shared<Site>(*this);
  {
    Instance app(site, needy("needy"), {"--forks", "1"});
    CHECK(contains(app.master().err(), ".needed/libelsewhere.so"));
    CHECK_FALSE(contains(app.master().err(), "not part of the release"));
    CHECK(contains(http_get(app.address()), "first path=\n"));
    // After the next build, a respawn still runs the committed library, and an upgrade takes the new one.
    NeededPlace::put("inner_second.so", "libinner.so");
    kill_worker(app);
    CHECK(contains(http_get(app.address()), "first path="));
    const auto upgrade = app.run("upgrade");
    CHECK(upgrade.status == Exit::ok);
    CHECK_FALSE(contains(upgrade.out, "same content"));
    CHECK_FALSE(contains(upgrade.out, "not part of the release"));
    CHECK(contains(http_get(app.address()), "second path="));
    fs::remove_all(NeededPlace::path);
    kill_worker(app);
    CHECK(contains(http_get(app.address()), "second path="));
    CHECK(app.run("rollback").status == Exit::ok);
    CHECK(contains(http_get(app.address()), "first path="));
  }
  Instance again(site, "", {"--forks", "1"});
  CHECK(contains(http_get(again.address()), "first path="));
}

TEST_CASE_FIXTURE(
    Scenario,
    "a configured LD_LIBRARY_PATH comes first, and what it provides is said not to be taken along") {
  const NeededPlace place;
  const std::string other = dir.directory("other");
  fs::copy_file(NEEDED_BUILD "/inner_second.so", other + "/libinner.so");
  Instance app(*this, needy("needy"), {"--forks", "1", "--env", "LD_LIBRARY_PATH=" + other});
  CHECK(contains(http_get(app.address()), "second path=" + other + "\n"));
  CHECK(contains(app.master().err(), other + "/libinner.so is not part of the release"));
  const auto upgrade = app.run("upgrade");
  CHECK(upgrade.status == Exit::ok);
  CHECK(contains(upgrade.out, other + "/libinner.so is not part of the release"));
}

TEST_CASE_FIXTURE(
    Scenario, "what is found by DT_RPATH is copied, and it is said that the loader prefers the original") {
  const NeededPlace place;
  Instance app(*this, needy("needy_rpath"), {"--forks", "1"});
  CHECK(contains(app.master().err(), NeededPlace::path + "/libelsewhere.so"));
  CHECK(contains(app.master().err(), "not part of the release"));
  CHECK(contains(app.master().err(), "--enable-new-dtags"));
  fs::remove_all(NeededPlace::path);
  kill_worker(app);
  CHECK(contains(http_get(app.address()), "first path="));
}

TEST_CASE_FIXTURE(Scenario, "check says what is copied along, and what is not") {
  const NeededPlace place;
  const auto check = [&](const Words& words) {
    return run(dir, {Words{liveswap_program(), "check"} + words});
  };
  const auto good = check({needy("needy")});
  CHECK(good.status == Exit::ok);
  CHECK(contains(good.out, NeededPlace::path + "/libelsewhere.so"));
  CHECK(contains(good.out, "by an absolute path: an upgrade copies that along"));
  CHECK_FALSE(contains(good.out, "does not copy it along"));
  const auto old = check({needy("needy_rpath")});
  CHECK(contains(old.out, "found by DT_RPATH"));
  CHECK(contains(old.out, "--enable-new-dtags"));
  const auto by_variable = check({needy("needy"), "--env", "LD_LIBRARY_PATH=" + NeededPlace::path});
  CHECK(by_variable.status == Exit::ok);
  const std::string other = dir.directory("other");
  fs::rename(NeededPlace::path + "/libinner.so", other + "/libinner.so");
  const auto outside = check({needy("needy"), "--env", "LD_LIBRARY_PATH=" + other});
  CHECK(contains(outside.out, other + "/libinner.so is loaded, and an upgrade does not copy it along"));
}

}  // namespace
}  // namespace scenario
