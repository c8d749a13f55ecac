// As whom the master acts, and for whom it does nothing.
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

#include "takeover_desk.hpp"
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

pid_t ended_child() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  return child;
}

}  // namespace

TEST_CASE("trust: a worker that was nobody when it asked is nobody, whatever it has become by exec") {
  if (::geteuid() != 0) return;
  const Victim victim;
  Desk desk;
  // /proc says that it is root, as of one that executes a set-uid program by now.
  desk.join(1, 0);
  desk.speaks_as(1, {::getpid(), nobody, nobody});
  CHECK(desk.ask(1, LIVESWAP_UNLINK, victim.path) == EACCES);
  CHECK(desk.bind(1, Where::path(victim.dir / "app.sock")).error == EACCES);
  CHECK(desk.bind(1, Where::v4(1023)).error == EACCES);
  CHECK(desk.bind(1, Where::v4(0)).error == 0);
  CHECK(victim.lives());
  desk.speaks_as(1, {::getpid(), 0, 0});
  CHECK(desk.ask(1, LIVESWAP_UNLINK, victim.path) == 0);
}

TEST_CASE("trust: another process than the worker is not root here") {
  if (::geteuid() != 0) return;
  const Victim victim;
  Desk desk;
  desk.join(1, 0);
  desk.speaks_as(1, {::getppid(), 0, 0});
  CHECK(desk.ask(1, LIVESWAP_UNLINK, victim.path) == EPERM);
  CHECK(desk.bind(1, Where::v4(0)).error == EPERM);
  desk.speaks_as(1, {::getppid(), nobody, nobody});
  CHECK(desk.ask(1, LIVESWAP_UNLINK, victim.path) == EACCES);
  desk.speaks_as(1, {});
  CHECK(desk.ask(1, LIVESWAP_UNLINK, victim.path) == EXDEV);
  CHECK(desk.bind(1, Where::v4(0)).error == EPERM);
  CHECK(victim.lives());
}

namespace {

int rename_as(Desk& desk, rollout::WorkerId worker, const std::string& from, const std::string& to) {
  return desk.ask(worker, LIVESWAP_RENAME, from + std::string(1, '\0') + to);
}

struct stat info_of(const std::string& path) {
  struct stat found {};
  CHECK(::lstat(path.c_str(), &found) == 0);
  return found;
}

// A directory of nobody's, and in it a socket that a worker has bound while it was root.
struct Given {
  TempDir dir;
  std::string own = dir / "own.sock";
  Desk desk;
  UniqueFd held;

  Given() {
    REQUIRE(::chown((dir / "").c_str(), nobody, nobody) == 0);
    REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
    desk.join(1, 0);
    held = desk.serve(1, Where::path(own));
    desk.speaks_as(1, {::getpid(), nobody, nobody});
  }
};

}  // namespace

TEST_CASE("trust: a worker that has given up root renames its socket only where its user may") {
  if (::geteuid() != 0) return;
  const Victim victim;
  Given given;
  for (const std::string& to : {victim.path, victim.dir / "other.sock"}) {
    CAPTURE(to);
    CHECK(rename_as(given.desk, 1, given.own, to) == EACCES);
    CHECK(connect_to(Where::path(given.own)));
  }
  CHECK(victim.lives());
  CHECK(info_of(victim.path).st_ino != info_of(given.own).st_ino);
  given.desk.speaks_as(1, {::getppid(), 0, 0});
  CHECK(rename_as(given.desk, 1, given.own, victim.dir / "other.sock") == EPERM);
  CHECK_FALSE(std::filesystem::exists(victim.dir / "other.sock"));
}

TEST_CASE("trust: nor away from where its user may not") {
  if (::geteuid() != 0) return;
  const TempDir dir, target;
  REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
  REQUIRE(::chmod((target / "").c_str(), 0777) == 0);
  Desk desk;
  desk.join(1, 0);
  const auto held = desk.serve(1, Where::path(dir / "own.sock"));
  desk.speaks_as(1, {::getpid(), nobody, nobody});
  CHECK(rename_as(desk, 1, dir / "own.sock", target / "app.sock") == EACCES);
  CHECK(connect_to(Where::path(dir / "own.sock")));
  CHECK_FALSE(std::filesystem::exists(target / "app.sock"));
}

TEST_CASE("trust: what its user has renamed is made again as that user") {
  if (::geteuid() != 0) return;
  Given given;
  const std::string path = given.dir / "app.sock";
  CHECK(rename_as(given.desk, 1, given.own, path) == 0);
  CHECK(connect_to(Where::path(path)));
  CHECK_FALSE(std::filesystem::exists(given.own));
  for (const auto& file :
       std::vector<std::filesystem::directory_entry>(std::filesystem::directory_iterator(given.dir / ""), {}))
    std::filesystem::remove(file);
  CHECK(given.desk.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::replaced);
  CHECK(info_of(path).st_uid == nobody);
  CHECK(connect_to(Where::path(path)));
}

TEST_CASE("trust: a rename onto a listener of root's leaves that one's mode") {
  if (::geteuid() != 0) return;
  Given given;
  const auto mode = info_of(given.own).st_mode;
  const auto mine = given.desk.serve(1, Where::path(given.dir / "mine.sock"));
  REQUIRE(::chmod((given.dir / "mine.sock").c_str(), 0777) == 0);
  CHECK(rename_as(given.desk, 1, given.dir / "mine.sock", given.own) == 0);
  CHECK(info_of(given.own).st_mode == mode);
}

TEST_CASE("trust: nothing is done at a path for who has exited") {
  const Victim victim;
  const pid_t gone = ended_child();
  Desk desk;
  desk.join(1, 0, 1, false, gone);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, victim.path) == EXDEV);
  CHECK(desk.bind(1, Where::path(victim.dir / "app.sock")).error == EXDEV);
  ::waitpid(gone, nullptr, 0);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, victim.path) == EXDEV);
  CHECK(victim.lives());
  // Nor anything else: frames that it has left behind.
  desk.join(2, 0);
  CHECK(desk.ask_posthumously(2, LIVESWAP_UNLINK, victim.path) == ESRCH);
  CHECK(desk.ask_posthumously(2, LIVESWAP_BIND, Where::v4(0).text(), socket_for(Where::v4(0))) == ESRCH);
  CHECK(victim.lives());
  CHECK(desk.takeover().idle());
}

TEST_CASE("trust: a master that is not root lends its capabilities to nobody") {
  if (::geteuid() != 0) return;
  Desk desk;
  desk.join(1, 0);
  // As nobody, with everything that root may do.
  REQUIRE(::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0);
  REQUIRE(::seteuid(nobody) == 0);
  const auto held = desk.bind(1, Where::v4(1023));
  REQUIRE(::seteuid(0) == 0);
  REQUIRE(::prctl(PR_SET_SECUREBITS, 0) == 0);
  CHECK(held.error == EACCES);
}

TEST_CASE("trust: a socket of one device, or of another network namespace, stays the application's own") {
  Desk desk;
  desk.join(1, 0);
  auto bound = socket_for(Where::v4(0));
  REQUIRE(::setsockopt(bound.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
  CHECK(desk.ask(1, LIVESWAP_BIND, Where::v4(0).text(), 0, std::move(bound)) == LIVESWAP_STAYS_OWN);
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
  CHECK(desk.ask(1, LIVESWAP_BIND, Where::v4(0).text(), 0, std::move(away)) == LIVESWAP_STAYS_OWN);
  CHECK(desk.ask(1, LIVESWAP_BIND, name.text(), 0, std::move(abstract)) == LIVESWAP_STAYS_OWN);
  CHECK(desk.ask(1, LIVESWAP_BIND, file.text(), 0, std::move(path)) == 0);
}
