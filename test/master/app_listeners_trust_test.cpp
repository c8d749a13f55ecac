// As which user the master acts for a worker, and what it refuses.
#include <doctest/doctest.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>
#include <vector>

#include "app_listeners_fixture.hpp"
#include "ended_child.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr uid_t nobody = 65534;

// A file that only root may remove.
struct Victim {
  TempDir dir;
  std::string path = dir / "victim.sock";
  UniqueFd socket;

  Victim() {
    REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
    const auto where = Where::path(path);
    socket = socket_for(where);
    REQUIRE(::bind(socket.get(), where.get(), where.size) == 0);
  }
  bool lives() const { return ::access(path.c_str(), F_OK) == 0; }
};

}  // namespace

TEST_CASE(
    "trust: a worker that sent a request as nobody is treated as nobody, even if it is root since an exec") {
  if (::geteuid() != 0) return;
  const Victim victim;
  Fixture fixture;
  // /proc shows root, as after executing a set-uid program.
  fixture.join(1, 0);
  fixture.speaks_as(1, {::getpid(), nobody, nobody});
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, victim.path) == EACCES);
  CHECK(fixture.bind(1, Where::path(victim.dir / "app.sock")).error == EACCES);
  CHECK(fixture.bind(1, Where::v4(1023)).error == EACCES);
  CHECK(fixture.bind(1, Where::v4(0)).error == 0);
  CHECK(victim.lives());
  fixture.speaks_as(1, {::getpid(), 0, 0});
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, victim.path) == 0);
}

TEST_CASE("trust: root in another process than the worker does not count") {
  if (::geteuid() != 0) return;
  const Victim victim;
  Fixture fixture;
  fixture.join(1, 0);
  fixture.speaks_as(1, {::getppid(), 0, 0});
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, victim.path) == EPERM);
  CHECK(fixture.bind(1, Where::v4(0)).error == EPERM);
  fixture.speaks_as(1, {::getppid(), nobody, nobody});
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, victim.path) == EACCES);
  fixture.speaks_as(1, {});
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, victim.path) == EXDEV);
  CHECK(fixture.bind(1, Where::v4(0)).error == EPERM);
  CHECK(victim.lives());
}

namespace {

int rename_as(Fixture& fixture, rollout::WorkerId worker, const std::string& from, const std::string& to) {
  return fixture.ask(worker, LIVESWAP_RENAME, from + std::string(1, '\0') + to);
}

struct stat info_of(const std::string& path) {
  struct stat found {};
  CHECK(::lstat(path.c_str(), &found) == 0);
  return found;
}

// A directory of the user nobody, with a socket that a worker has bound as root.
struct Given {
  TempDir dir;
  std::string own = dir / "own.sock";
  Fixture fixture;
  UniqueFd held;

  Given() {
    REQUIRE(::chown((dir / "").c_str(), nobody, nobody) == 0);
    REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
    fixture.join(1, 0);
    held = fixture.serve(1, Where::path(own));
    fixture.speaks_as(1, {::getpid(), nobody, nobody});
  }
};

}  // namespace

TEST_CASE("trust: a worker that has given up root renames its socket only where its user may") {
  if (::geteuid() != 0) return;
  const Victim victim;
  Given given;
  for (const std::string& to : {victim.path, victim.dir / "other.sock"}) {
    CAPTURE(to);
    CHECK(rename_as(given.fixture, 1, given.own, to) == EACCES);
    CHECK(connect_to(Where::path(given.own)));
  }
  CHECK(victim.lives());
  CHECK(info_of(victim.path).st_ino != info_of(given.own).st_ino);
  given.fixture.speaks_as(1, {::getppid(), 0, 0});
  CHECK(rename_as(given.fixture, 1, given.own, victim.dir / "other.sock") == EPERM);
  CHECK_FALSE(std::filesystem::exists(victim.dir / "other.sock"));
}

TEST_CASE("trust: nor from a directory that its user may not change") {
  if (::geteuid() != 0) return;
  const TempDir dir, target;
  REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
  REQUIRE(::chmod((target / "").c_str(), 0777) == 0);
  Fixture fixture;
  fixture.join(1, 0);
  const auto held = fixture.serve(1, Where::path(dir / "own.sock"));
  fixture.speaks_as(1, {::getpid(), nobody, nobody});
  CHECK(rename_as(fixture, 1, dir / "own.sock", target / "app.sock") == EACCES);
  CHECK(connect_to(Where::path(dir / "own.sock")));
  CHECK_FALSE(std::filesystem::exists(target / "app.sock"));
}

TEST_CASE("trust: a file that the user has renamed is recreated as that user") {
  if (::geteuid() != 0) return;
  Given given;
  const std::string path = given.dir / "app.sock";
  CHECK(rename_as(given.fixture, 1, given.own, path) == 0);
  CHECK(connect_to(Where::path(path)));
  CHECK_FALSE(std::filesystem::exists(given.own));
  for (const auto& file :
       std::vector<std::filesystem::directory_entry>(std::filesystem::directory_iterator(given.dir / ""), {}))
    std::filesystem::remove(file);
  CHECK(given.fixture.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::replaced);
  CHECK(info_of(path).st_uid == nobody);
  CHECK(connect_to(Where::path(path)));
}

TEST_CASE("trust: a rename onto root's listener leaves its mode") {
  if (::geteuid() != 0) return;
  Given given;
  const auto mode = info_of(given.own).st_mode;
  const auto mine = given.fixture.serve(1, Where::path(given.dir / "mine.sock"));
  REQUIRE(::chmod((given.dir / "mine.sock").c_str(), 0777) == 0);
  CHECK(rename_as(given.fixture, 1, given.dir / "mine.sock", given.own) == 0);
  CHECK(info_of(given.own).st_mode == mode);
}

TEST_CASE("trust: nothing is done at a path for a worker that has exited") {
  const Victim victim;
  const pid_t gone = ended_child();
  Fixture fixture;
  fixture.join(1, 0, 1, false, gone);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, victim.path) == EXDEV);
  CHECK(fixture.bind(1, Where::path(victim.dir / "app.sock")).error == EXDEV);
  ::waitpid(gone, nullptr, 0);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, victim.path) == EXDEV);
  CHECK(victim.lives());
  // Nor any other frame that was read after the exit.
  fixture.join(2, 0);
  CHECK(fixture.ask_posthumously(2, LIVESWAP_UNLINK, victim.path) == ESRCH);
  CHECK(fixture.ask_posthumously(2, LIVESWAP_BIND, Where::v4(0).text(), socket_for(Where::v4(0))) == ESRCH);
  CHECK(victim.lives());
  CHECK(fixture.app_listeners().idle());
}

TEST_CASE("trust: a master that is not root does not lend its capabilities") {
  if (::geteuid() != 0) return;
  Fixture fixture;
  fixture.join(1, 0);
  // As the user nobody, with all of root's capabilities.
  REQUIRE(::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0);
  REQUIRE(::seteuid(nobody) == 0);
  const auto held = fixture.bind(1, Where::v4(1023));
  REQUIRE(::seteuid(0) == 0);
  REQUIRE(::prctl(PR_SET_SECUREBITS, 0) == 0);
  CHECK(held.error == EACCES);
}

TEST_CASE("trust: a socket of one device, or of another network namespace, stays the application's own") {
  Fixture fixture;
  fixture.join(1, 0);
  auto bound = socket_for(Where::v4(0));
  REQUIRE(::setsockopt(bound.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
  CHECK(fixture.ask(1, LIVESWAP_BIND, Where::v4(0).text(), 0, std::move(bound)) == LIVESWAP_STAYS_OWN);
  if (::geteuid() != 0) return;
  UniqueFd away, abstract, path;
  const TempDir dir;
  const auto name = Where::abstract(dir / "name"), file = Where::path(dir / "app.sock");
  bool there = false;
  std::thread([&] {
    there = ::unshare(CLONE_NEWNET) == 0;
    away = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    abstract = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    path = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }).join();
  if (!there) return;
  CHECK(fixture.ask(1, LIVESWAP_BIND, Where::v4(0).text(), 0, std::move(away)) == LIVESWAP_STAYS_OWN);
  CHECK(fixture.ask(1, LIVESWAP_BIND, name.text(), 0, std::move(abstract)) == LIVESWAP_STAYS_OWN);
  CHECK(fixture.ask(1, LIVESWAP_BIND, file.text(), 0, std::move(path)) == 0);
}
