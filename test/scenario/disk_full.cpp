// The disk of the state directory becomes full at some point of an upgrade: the old release still serves, the
// caller learns the reason, and with room again all is as before.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    mounted_ = ::mount("liveswap-test", path.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  // In blocks of 4 KiB.
  long room() const {
    struct statvfs disk {};
    ::statvfs(path_.c_str(), &disk);
    return static_cast<long>(disk.f_bavail);
  }
  void leave(long blocks) const {
    ::unlink((path_ + "/filler").c_str());
    const auto file = liveswap::UniqueFd::adopt(::creat((path_ + "/filler").c_str(), 0600));
    const std::string block(4096, 'x');
    while (room() > blocks) REQUIRE(::write(file.get(), block.data(), block.size()) > 0);
  }
  void make_room() const { ::unlink((path_ + "/filler").c_str()); }

 private:
  std::string path_;
  bool mounted_ = false;
};

// Gives one block more each time until the upgrade succeeds, so that each write fails in turn.
TEST_CASE_FIXTURE(Scenario, "the disk is full at every write of an upgrade") {
  const std::string place = dir / "disk";
  std::filesystem::create_directory(place);
  const SmallDisk disk(place);
  if (!disk.mounted()) {
    MESSAGE("left out: a file system cannot be mounted here");
    return;
  }
  Instance app(*this, fixture("version_v1"), {"--state-dir", place + "/state", "--settle", "20ms"});
  const std::string head_path = place + "/state/HEAD";
  Load load(*this, app.address(), {"--rate", "50"});
  int failures = 0;
  bool done = false;
  for (long blocks = 0; blocks < 100 && !done; ++blocks) {
    CAPTURE(blocks);
    disk.leave(blocks);
    const auto finished = app.upgrade(fixture("version_v2"));
    disk.make_room();
    if (finished.status == Exit::ok) {
      done = true;
      break;
    }
    ++failures;
    CHECK(finished.status == Exit::reverted);
    CHECK_MESSAGE(contains(finished.err, "No space left"), finished.err);
    CHECK(read_file(head_path) == fixture("version_v1") + "\n");
    CHECK(eventually([&] { return contains(http_get(app.address()), "v1"); }));
  }
  CHECK(done);
  CHECK(failures > 3);
  CHECK(contains(http_get(app.address()), "v2"));
  MESSAGE("the upgrade failed with ", failures, " sizes of a full disk");
  load.stop().check_nothing_lost();
  // Without any room, a worker that dies is still replaced.
  disk.leave(0);
  const auto workers = app.workers();
  ::kill(workers[0], SIGKILL);
  CHECK(eventually([&] { return app.workers().size() == 2 && app.workers()[0] != workers[0]; }));
  disk.make_room();
}

// A full disk neither keeps bad code in place nor the service down.
TEST_CASE_FIXTURE(Scenario,
                  "a rollback and a start on a full disk serve, and are recorded when there is room") {
  const std::string place = dir / "disk";
  std::filesystem::create_directory(place);
  const SmallDisk disk(place);
  if (!disk.mounted()) {
    MESSAGE("left out: a file system cannot be mounted here");
    return;
  }
  const auto site = std::make_shared<Site>(*this);
  const Words options{"--state-dir", place + "/state"};
  const std::string record = place + "/state/HEAD";
  {
    Instance app(site, fixture("version_v1"), options);
    REQUIRE(app.upgrade(fixture("version_v2")).status == Exit::ok);
    Load load(*this, app.address());
    disk.leave(0);
    const auto finished = app.run("rollback");
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
    CHECK_MESSAGE(contains(finished.out, "the record is behind"), finished.out, finished.err);
    CHECK(contains(http_get(app.address()), "v1"));
    CHECK(contains(app.status().value("record_note", ""), "No space left"));
    CHECK(contains(app.run("status").out, "a restart begins with an earlier release"));
    CHECK(read_file(record) == fixture("version_v2") + "\n");
    disk.make_room();
    CHECK(eventually([&] { return read_file(record) == fixture("version_v1") + "\n"; }));
    CHECK(eventually([&] { return !app.status().contains("record_note"); }));
    load.stop().check_nothing_lost();
  }
  disk.leave(0);
  {
    Instance app(site, "", options);
    CHECK(contains(http_get(app.address()), "v1"));
    CHECK(contains(app.master().err(), "commands over TCP are refused until the next start"));
  }
  disk.make_room();
}

}  // namespace
}  // namespace scenario
