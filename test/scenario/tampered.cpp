// Bytes in the release store have changed. They are not run: the nearest sound release serves.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

std::string stored(const Site& site, const std::string& id) {
  for (const auto& entry : std::filesystem::directory_iterator(site.state_dir() + "/releases/" + id))
    return entry.path().string();
  return "";
}

// Changes one byte in the middle in place, and sets the time of the last write back. Returns the path.
std::string change(const Site& site, const std::string& id) {
  const std::string path = stored(site, id);
  REQUIRE(path != "");
  struct stat before {};
  REQUIRE(::stat(path.c_str(), &before) == 0);
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  const auto file = liveswap::UniqueFd::adopt(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  char byte = 0;
  const off_t at = before.st_size - 1;
  REQUIRE(::pread(file.get(), &byte, 1, at) == 1);
  byte = static_cast<char>(byte ^ 1);
  REQUIRE(::pwrite(file.get(), &byte, 1, at) == 1);
  const timespec times[2] = {before.st_atim, before.st_mtim};
  REQUIRE(::futimens(file.get(), times) == 0);
  return path;
}

// Applications at paths of their own, which can be removed: then only the store's copy is left.
struct Versions {
  explicit Versions(const TempDir& dir) : first(dir / "first.so"), second(dir / "second.so") {
    std::filesystem::copy(fixture("version_v1"), first);
    std::filesystem::copy(fixture("version_v2"), second);
  }
  std::string first, second;
};

std::string id_of(const Instance& app) { return app.status()["release_id"].get<std::string>(); }

// Returns when the master knows: connections that come before that may wait in the killed worker's queue.
void kill_second_worker(Instance& app) {
  ::kill(app.workers().at(1), SIGKILL);
  REQUIRE(app.master().says("killed by SIGKILL"));
}

TEST_CASE_FIXTURE(Scenario, "a rollback to changed bytes is refused, and what can be gone to is named") {
  const Versions versions(dir);
  Instance app(*this, fixture("version_v1"));
  const auto sound = id_of(app);
  REQUIRE(app.upgrade(versions.second).status == Exit::ok);
  const auto changed = id_of(app);
  std::filesystem::copy(own_fixture("report"), dir / "third.so");
  REQUIRE(app.upgrade(dir / "third.so").status == Exit::ok);
  std::filesystem::remove(versions.second);
  const auto path = change(app.site(), changed);
  Load load(*this, app.address());
  const auto workers = app.workers();
  const auto refused = app.run("rollback");
  CHECK(refused.status == Exit::failed);
  CHECK(contains(refused.err, path + " has the SHA-256 "));
  CHECK(contains(refused.err, "expected " + changed));
  CHECK(contains(refused.err, "liveswap rollback " + sound.substr(0, 12)));
  CHECK(app.workers() == workers);
  CHECK(app.run("rollback", {sound.substr(0, 12)}).status == Exit::ok);
  CHECK(contains(http_get(app.address()), "v1"));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a rollback to changed bytes mends them where the file is still there") {
  Instance app(*this, fixture("version_v1"));
  const auto changed = id_of(app);
  REQUIRE(app.upgrade(fixture("version_v2")).status == Exit::ok);
  change(app.site(), changed);
  Load load(*this, app.address());
  const auto back = app.run("rollback");
  CHECK_MESSAGE(back.status == Exit::ok, back.err);
  CHECK(contains(back.out + back.err, "mended from " + fixture("version_v1")));
  CHECK(read_file(stored(app.site(), changed)) == read_file(fixture("version_v1")));
  CHECK(contains(http_get(app.address()), "v1"));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a worker is not respawned from changed bytes: the release before serves") {
  const Versions versions(dir);
  Instance app(*this, versions.first);
  REQUIRE(app.upgrade(versions.second).status == Exit::ok);
  const auto changed = id_of(app);
  std::filesystem::remove(versions.second);
  const auto path = change(app.site(), changed);
  kill_second_worker(app);
  Load load(*this, app.address());
  CHECK(app.serves(versions.first));
  CHECK(
      eventually([&] { return app.status()["state"] == "running" && app.head() == versions.first + "\n"; }));
  CHECK(contains(http_get(app.address()), "v1"));
  CHECK(eventually([&] { return app.status().contains("last_upgrade"); }));
  load.stop().check_nothing_lost();
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  CHECK(receipt["kind"] == "rollback");
  CHECK(receipt["asked"]["by"] == "the master itself");
  CHECK(contains(receipt["reason"].get<std::string>(), path));
  CHECK(app.master().says(path + " has the SHA-256 "));
}

// Slot 0's worker goes on with the code that it has loaded.
TEST_CASE_FIXTURE(Scenario, "where no release is sound the workers that run go on, and status says so") {
  const Versions versions(dir);
  Instance app(*this, versions.first, {"--backoff-min", "50ms"});
  const auto changed = id_of(app);
  std::filesystem::remove(versions.first);
  const auto path = change(app.site(), changed);
  const auto before = app.workers();
  kill_second_worker(app);
  Load load(*this, app.address());
  CHECK(eventually([&] { return contains(app.status().value("release_note", ""), path); }));
  CHECK(app.workers().at(0) == before[0]);
  load.stop().check_nothing_lost();
  // The file is put back.
  std::filesystem::copy(fixture("version_v1"), versions.first);
  CHECK(app.serves(versions.first));
  CHECK(eventually([&] { return !app.status().contains("release_note"); }));
  CHECK(app.workers().at(0) == before[0]);
}

TEST_CASE_FIXTURE(Scenario,
                  "a restart does not run changed bytes: the release before serves, and it is said") {
  const Versions versions(dir);
  auto site = std::make_shared<Site>(*this);
  std::string changed;
  {
    Instance app(site, versions.first);
    REQUIRE(app.upgrade(versions.second).status == Exit::ok);
    changed = id_of(app);
    CHECK(app.run("stop").status == Exit::ok);
  }
  std::filesystem::remove(versions.second);
  const auto path = change(*site, changed);
  Instance app(site, "");
  CHECK(app.serves(versions.first));
  CHECK(contains(http_get(app.address()), "v1"));
  CHECK(app.master().says(path + " has the SHA-256 "));
  CHECK(contains(Json::parse(app.run("receipt", {"--json"}).out)["reason"].get<std::string>(), path));
  CHECK(app.head() == versions.first + "\n");
}

TEST_CASE_FIXTURE(Scenario, "a restart with nothing that is sound ends with the reason") {
  const Versions versions(dir);
  auto site = std::make_shared<Site>(*this);
  std::string changed;
  {
    Instance app(site, versions.first);
    changed = id_of(app);
    CHECK(app.run("stop").status == Exit::ok);
  }
  std::filesystem::remove(versions.first);
  const auto path = change(*site, changed);
  const auto finished = site->run("start", {"--listen", site->address()});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err, path + " has the SHA-256 "));
  CHECK(contains(finished.err, "--force-target"));
  // The file at the path is another one now.
  std::filesystem::copy(fixture("version_v2"), versions.first);
  Instance forced(site, versions.first, {"--force-target"});
  CHECK(contains(http_get(forced.address()), "v2"));
}

// The earlier release is sound, but its workers die at their start.
TEST_CASE_FIXTURE(Scenario, "a way back that fails is not taken again and again") {
  const Versions versions(dir);
  const std::string fault = dir / "fault";
  Instance app(
      *this, own_fixture("report"),
      {"--backoff-min", "50ms", "--backoff-max", "200ms", "--ready-limit", "1s", "--drain-limit", "1s"},
      {"crash-if=" + fault});
  REQUIRE(app.upgrade(versions.second).status == Exit::ok);
  const auto changed = id_of(app);
  std::filesystem::remove(versions.second);
  const auto path = change(app.site(), changed);
  write_file(fault, "");
  kill_second_worker(app);
  Load load(*this, app.address());
  REQUIRE(app.master().says("no release before it can take its place"));
  const auto fails = [&] { return app.status()["slots"][1]["restarts"].get<unsigned>(); };
  REQUIRE(eventually(
      [&] { return app.status().contains("last_upgrade") && app.status()["state"] == "running"; }));
  const unsigned before = fails();
  CHECK(eventually([&] { return fails() >= before + 4; }));
  const auto history = Json::parse(app.run("history", {"--json"}).out);
  CHECK(history.size() == 3);
  load.stop().check_nothing_lost();
  // The file is put back.
  std::filesystem::copy(fixture("version_v2"), versions.second);
  CHECK(app.serves(versions.second));
}

TEST_CASE_FIXTURE(Scenario, "the master does not return by itself to what somebody has rolled away from") {
  const Versions versions(dir);
  auto site = std::make_shared<Site>(*this);
  {
    Instance app(site, own_fixture("report"));
    REQUIRE(app.upgrade(versions.first).status == Exit::ok);
    const auto changed = id_of(app);
    REQUIRE(app.upgrade(versions.second).status == Exit::ok);
    REQUIRE(app.run("rollback").status == Exit::ok);
    std::filesystem::remove(versions.first);
    change(app.site(), changed);
    ::kill(app.workers().at(1), SIGKILL);
    CHECK(app.serves(own_fixture("report")));
    CHECK(eventually([&] { return app.head() == own_fixture("report") + "\n"; }));
    change(app.site(), id_of(app));
    CHECK(app.run("stop").status == Exit::ok);
  }
  // Only that release is sound; the other one is mended from its own file.
  Instance app(site, "");
  CHECK(app.serves(own_fixture("report")));
}

TEST_CASE_FIXTURE(Scenario,
                  "where nothing else is sound, what was rolled back from is run, and that is said") {
  const Versions versions(dir);
  auto site = std::make_shared<Site>(*this);
  {
    Instance app(site, versions.first);
    const auto changed = id_of(app);
    REQUIRE(app.upgrade(versions.second).status == Exit::ok);
    REQUIRE(app.run("rollback").status == Exit::ok);
    std::filesystem::remove(versions.first);
    change(app.site(), changed);
    CHECK(app.run("stop").status == Exit::ok);
  }
  Instance app(site, "");
  CHECK(app.serves(versions.second));
  CHECK(contains(Json::parse(app.run("receipt", {"--json"}).out)["reason"].get<std::string>(),
                 "although it was rolled back from"));
}

TEST_CASE_FIXTURE(Scenario, "the same content under another name is hashed for itself") {
  const Versions versions(dir);
  Instance app(*this, versions.first);
  const auto id = id_of(app);
  REQUIRE(app.upgrade(versions.second).status == Exit::ok);
  std::filesystem::copy(versions.first, dir / "twin.so");
  REQUIRE(app.upgrade(dir / "twin.so").status == Exit::ok);
  REQUIRE(id_of(app) == id);
  std::filesystem::remove(versions.first);
  const std::string copy = app.site().state_dir() + "/releases/" + id + "/first.so";
  std::filesystem::remove(copy);
  std::filesystem::copy(fixture("version_v2"), copy);
  // The seal is new, and the bytes are sound.
  ::kill(app.workers().at(1), SIGKILL);
  CHECK(app.serves(dir / "twin.so"));
  const auto refused = app.run("rollback", {"1"});
  CHECK(refused.status == Exit::failed);
  CHECK(contains(refused.err, copy + " has the SHA-256 "));
  CHECK(contains(http_get(app.address()), "v1"));
}

// Another process has a lease on the release's file for a while: opening fails.
TEST_CASE_FIXTURE(
    Scenario, "a start waits until it can tell whether the bytes are right, and can be stopped meanwhile") {
  const Versions versions(dir);
  auto site = std::make_shared<Site>(*this);
  std::string path;
  {
    Instance app(site, versions.first);
    path = stored(*site, id_of(app));
    CHECK(app.run("stop").status == Exit::ok);
  }
  auto held = liveswap::UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ::fcntl(held.get(), F_SETSIG, SIGURG);
  REQUIRE(::fcntl(held.get(), F_SETLEASE, F_WRLCK) == 0);
  for (const bool stopped : {true, false}) {
    CAPTURE(stopped);
    auto start = site->launch("start", {"--listen", site->address()});
    REQUIRE(start.says("could not be hashed now"));
    CHECK(contains(start.err(), "nothing is started yet, it is tried again"));
    if (!stopped) held.reset();
    CHECK((stopped || eventually([&] { return site->status().value("state", "") == "running"; })));
    CHECK(site->run("stop").status == Exit::ok);
    start.wait();
  }
}

}  // namespace
}  // namespace scenario
