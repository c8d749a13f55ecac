// Somebody or something has changed bytes in the release store. They are not run: the nearest sound release serves.
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

// One byte in the middle, written in place; the time of the last write is set back. Returns the path.
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

// Applications at paths of their own, which can be removed: the store's copy is all that is left.
struct Versions {
  explicit Versions(const TempDir& dir) : first(dir / "first.so"), second(dir / "second.so") {
    std::filesystem::copy(fixture("version_v1"), first);
    std::filesystem::copy(fixture("version_v2"), second);
  }
  std::string first, second;
};

std::string id_of(const Instance& app) { return app.status()["release_id"].get<std::string>(); }

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
  ::kill(app.workers().at(1), SIGKILL);
  Load load(*this, app.address());
  CHECK(app.serves(versions.first));
  CHECK(eventually([&] { return app.status()["state"] == "running" && app.head() == versions.first + "\n"; }));
  CHECK(contains(http_get(app.address()), "v1"));
  CHECK(eventually([&] { return app.status().contains("last_upgrade"); }));
  load.stop().check_nothing_lost();
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  CHECK(receipt["kind"] == "rollback");
  CHECK(receipt["asked"]["by"] == "the master itself");
  CHECK(contains(receipt["reason"].get<std::string>(), path));
  CHECK(app.master().says(path + " has the SHA-256 "));
}

// Slot 0's worker serves on from what it has loaded, whatever happens to the file.
TEST_CASE_FIXTURE(Scenario, "where no release is sound the workers that run go on, and status says so") {
  const Versions versions(dir);
  Instance app(*this, versions.first, {"--backoff-min", "50ms"});
  const auto changed = id_of(app);
  std::filesystem::remove(versions.first);
  const auto path = change(app.site(), changed);
  const auto before = app.workers();
  ::kill(before.at(1), SIGKILL);
  Load load(*this, app.address());
  CHECK(eventually([&] { return contains(app.status().value("release_note", ""), path); }));
  CHECK(app.workers().at(0) == before[0]);
  load.stop().check_nothing_lost();
  // Somebody puts it back.
  std::filesystem::copy(fixture("version_v1"), versions.first);
  CHECK(app.serves(versions.first));
  CHECK(eventually([&] { return !app.status().contains("release_note"); }));
  CHECK(app.workers().at(0) == before[0]);
}

TEST_CASE_FIXTURE(Scenario, "a restart does not run changed bytes: the release before serves, and it is said") {
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
  // What is at the path now is another thing.
  std::filesystem::copy(fixture("version_v2"), versions.first);
  Instance forced(site, versions.first, {"--force-target"});
  CHECK(contains(http_get(forced.address()), "v2"));
}

}  // namespace
}  // namespace scenario
