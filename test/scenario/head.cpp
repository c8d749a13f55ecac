// The HEAD file decides what a restart runs. It names committed code: the new, or the old.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/nobody.hpp"

namespace scenario {
namespace {

// A file system of a few pages without free space.
class TinyDisk {
 public:
  explicit TinyDisk(const std::string& path) : path_(path) {
    mounted_ = ::mount("liveswap-test", path.c_str(), "tmpfs", 0, "size=32k") == 0;
  }
  ~TinyDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;

  bool mounted() const { return mounted_; }

  void fill() const {
    const auto file = liveswap::UniqueFd::adopt(::creat((path_ + "/filler").c_str(), 0600));
    const std::string block(4096, 'x');
    while (::write(file.get(), block.data(), block.size()) > 0) {
    }
    REQUIRE(errno == ENOSPC);
  }
  void make_room() const { REQUIRE(::unlink((path_ + "/filler").c_str()) == 0); }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST_CASE_FIXTURE(Scenario, "a start without a target runs what HEAD names") {
  const auto site = std::make_shared<Site>(*this);
  const std::string head = dir / "my-head";
  {
    Instance app(site, fixture("version_v1"), {"--head", head});
    CHECK(read_file(head) == fixture("version_v1") + "\n");
    CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
    CHECK(read_file(head) == fixture("version_v2") + "\n");
  }
  Instance again(site, "", {"--head", head});
  CHECK(again.status()["head"] == fixture("version_v2"));
  CHECK(contains(http_get(again.address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "HEAD of the state directory is there for the next start") {
  const auto site = std::make_shared<Site>(*this);
  { Instance app(site, fixture("version_v2")); }
  Instance again(site, "");
  CHECK(contains(http_get(again.address()), "v2"));
}

// A restart with the configuration file of the documented systemd unit, which has `target:`.
TEST_CASE_FIXTURE(Scenario, "an upgrade outlives a restart, whatever target is configured") {
  const auto site = std::make_shared<Site>(*this);
  const Words file{"-c", dir / "app.yaml"};
  write_file(dir / "app.yaml", "target: " + fixture("version_v1") + "\n");
  {
    Instance app(site, "", file);
    CHECK_FALSE(app.status().contains("target_note"));
    CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
    CHECK(app.status()["target_note"] == "HEAD says " + fixture("version_v2") + "; the configured target " +
                                             fixture("version_v1") + " is not used");
  }
  Instance again(site, "", file);
  CHECK(contains(http_get(again.address()), "v2"));
  CHECK(contains(again.master().err(), "HEAD says " + fixture("version_v2")));
  CHECK(contains(again.master().err(), "the configured target " + fixture("version_v1") + " was not used"));
  CHECK(again.status()["target"] == fixture("version_v1"));
  CHECK(contains(again.run("status").out, "\ntarget        HEAD says"));
  CHECK(again.head() == fixture("version_v2") + "\n");
}

TEST_CASE_FIXTURE(Scenario, "--force-target starts what is named, whatever HEAD says") {
  const auto site = std::make_shared<Site>(*this);
  { Instance app(site, fixture("version_v2")); }
  {
    Instance again(site, fixture("version_v1"), {"--force-target"});
    CHECK(contains(http_get(again.address()), "v1"));
    CHECK(again.head() == fixture("version_v1") + "\n");
  }
  write_file(dir / "app.yaml", "target: " + fixture("version_v2") + "\nforce-target: true\n");
  Instance third(site, "", {"-c", dir / "app.yaml"});
  CHECK(contains(http_get(third.address()), "v2"));
  CHECK(third.upgrade(fixture("version_v1")).status == Exit::ok);
  CHECK(contains(third.status().value("target_note", ""), "a restart begins with the configured target"));
}

// A start's warning stands on the terminal, not only in the log.
TEST_CASE_FIXTURE(Scenario, "a start by hand that HEAD decides against says so on the terminal") {
  const auto site = std::make_shared<Site>(*this);
  { Instance app(site, fixture("version_v2")); }
  const auto started = site->run("start", {"--daemon", "--listen", site->address(), fixture("version_v1")});
  CHECK(started.status == Exit::ok);
  CHECK(contains(started.err, "the configured target " + fixture("version_v1") + " was not used"));
  CHECK(contains(started.err, "liveswap upgrade " + fixture("version_v1")));
  CHECK(contains(started.err, "--force-target"));
  CHECK(contains(http_get(site->address()), "v2"));
  CHECK(site->run("stop").status == Exit::ok);
}

// The only command in backquotes.
std::string hinted(const std::string& text) {
  const auto begin = text.find("`liveswap ");
  REQUIRE(begin != std::string::npos);
  const auto end = text.find('`', begin + 1);
  CHECK(text.find("`liveswap ", end) == std::string::npos);
  return text.substr(begin + 1, end - begin - 1);
}

TEST_CASE_FIXTURE(Scenario,
                  "the command that a start hints at works as it stands, in the notice and in the log") {
  const Site site(*this);
  const Words place{"--state-dir", dir / "my state", "--runtime-dir", dir / "my run"};
  const auto start = [&](const std::string& library) {
    return site.run("start", Words{"--daemon", "--listen", site.address(), library} + place);
  };
  REQUIRE(start(fixture("version_v2")).status == Exit::ok);
  const auto again = start(fixture("version_v1"));
  CHECK(again.status == Exit::refused);
  CHECK(hinted(again.err) == "liveswap upgrade -p " + site.control_port() + " --state-dir '" +
                                 (dir / "my state") + "' --runtime-dir '" + (dir / "my run") + "'");
  REQUIRE(site.run("stop", place).status == Exit::ok);
  const auto started = start(fixture("version_v1"));
  REQUIRE(started.status == Exit::ok);
  const std::string command = hinted(started.err);
  CHECK(contains(read_file(dir / "my state/log"), "`" + command + "`"));
  const std::string program = liveswap_program();
  const auto upgraded = run(dir, {{"sh", "-c", program + command.substr(std::string("liveswap").size())}});
  CHECK_MESSAGE(upgraded.status == Exit::ok, upgraded.err);
  CHECK(contains(http_get(site.address()), "v1"));
  CHECK(site.run("stop", place).status == Exit::ok);
}

TEST_CASE_FIXTURE(
    Scenario, "a target that was rebuilt between stop and start: the committed bytes run, and it is said") {
  const auto site = std::make_shared<Site>(*this);
  const std::string library = dir / "libapp.so";
  write_file(library, read_file(fixture("version_v1")));
  { Instance app(site, library); }
  write_file(dir / "new.so", read_file(fixture("version_v2")));
  REQUIRE(::rename((dir / "new.so").c_str(), library.c_str()) == 0);
  const auto started = site->run("start", {"--daemon", "--listen", site->address(), library});
  CHECK(started.status == Exit::ok);
  CHECK(contains(started.err, "rebuilt since"));
  CHECK(contains(http_get(site->address()), "v1"));
  CHECK(contains(site->status().value("target_note", ""), "rebuilt since"));
  CHECK(site->run("upgrade").status == Exit::ok);
  CHECK_FALSE(site->status().contains("target_note"));
  CHECK(contains(http_get(site->address()), "v2"));
  CHECK(site->run("stop").status == Exit::ok);
}

void expect_refusal(const Site& site, const std::string& head, const std::string& found,
                    const Words& target = {}) {
  const auto finished = site.run("start", Words{"--listen", site.address(), "--head", head} + target);
  CAPTURE(finished.err);
  CHECK(finished.status != Exit::ok);
  CHECK(contains(finished.err, head));
  CHECK(contains(finished.err, found));
}

TEST_CASE_FIXTURE(Scenario, "a HEAD that names nothing is refused with what was found") {
  const Site site(*this);
  write_file(dir / "empty", "");
  write_file(dir / "relative", "libapp.so\n");
  write_file(dir / "lines", "/one.so\n/two.so\n");
  write_file(dir / "binary", std::string("/a\0b\n", 5));
  write_file(dir / "long", "/" + std::string(10'000, 'a'));
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  expect_refusal(site, dir / "missing", "No such file");
  expect_refusal(site, dir / "empty", "empty");
  expect_refusal(site, dir / "relative", "begin with /");
  expect_refusal(site, dir / "lines", "more than one line");
  expect_refusal(site, dir / "binary", "NUL");
  expect_refusal(site, dir / "long", "bytes");
  expect_refusal(site, dir / "fifo", "FIFO");
  expect_refusal(site, dir.directory("folder"), "directory");
}

// Starting the configured target would undo the upgrades that the damaged HEAD recorded.
TEST_CASE_FIXTURE(Scenario, "a damaged HEAD is no reason to go back to the configured target") {
  const auto site = std::make_shared<Site>(*this);
  const std::string head = site->state_dir() + "/HEAD";
  const auto refused_with = [&](const std::string& found) {
    const auto finished =
        site->run("start", {"--daemon", "--listen", site->address(), fixture("version_v1")});
    CAPTURE(finished.err);
    CHECK(finished.status == Exit::failed);
    for (const auto& part : {head, found, fixture("version_v1"), std::string("--force-target"),
                             "the newest record of a commit names " + fixture("version_v2")})
      CHECK_MESSAGE(contains(finished.err, part), part);
  };
  { Instance app(site, fixture("version_v2")); }
  write_file(head, "");
  refused_with("is empty");
  CHECK(read_file(head) == "");
  REQUIRE(::unlink(head.c_str()) == 0);
  REQUIRE(::symlink((dir / "nowhere").c_str(), head.c_str()) == 0);
  refused_with("No such file");
  {
    Instance forced(site, fixture("version_v1"), {"--force-target"});
    CHECK(contains(forced.master().err(), "the target was forced"));
    CHECK(contains(http_get(forced.address()), "v1"));
    CHECK(read_file(head) == fixture("version_v1") + "\n");
  }
  // Without HEAD the start counts as the first one.
  REQUIRE(::unlink(head.c_str()) == 0);
  Instance first(site, fixture("version_v2"));
  CHECK(contains(http_get(first.address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "a HEAD that may not be read") {
  Site site(*this);
  const std::string head = dir / "secret";
  write_file(head, fixture("version_v1") + "\n");
  REQUIRE(::chmod(head.c_str(), 0) == 0);
  if (!become_nobody(site)) return;
  expect_refusal(site, head, "Permission denied");
  expect_refusal(site, head, "--force-target", {fixture("version_v1")});
}

TEST_CASE_FIXTURE(Scenario, "HEAD on a full disk: the old one stays and the upgrade is reverted") {
  const auto disk_path = dir.directory("disk");
  const TinyDisk disk(disk_path);
  if (!disk.mounted()) {
    MESSAGE("mounting needs root: left out");
    return;
  }
  const std::string head = disk_path + "/HEAD";
  Instance app(*this, fixture("version_v1"), {"--head", head});
  disk.fill();
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK(finished.status == Exit::reverted);
  CHECK(contains(finished.err, head));
  CHECK(contains(finished.err, "No space left"));
  CHECK(read_file(head) == fixture("version_v1") + "\n");
  CHECK(app.serves(fixture("version_v1")));
  disk.make_room();
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(read_file(head) == fixture("version_v2") + "\n");
}

}  // namespace
}  // namespace scenario
