// Unix sockets that applications bind: the owner of the file, what is removed, and how a path is bound again.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "app_listeners_fixture.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr uid_t nobody = 65534;

Fixture::Rules as_nobody() {
  Fixture::Rules rules;
  rules.identity = spawn::Identity{nobody, nobody, {}};
  return rules;
}

// A process that has dropped root's rights, as some servers do after their start.
class Dropped {
 public:
  template <class Drop>
  explicit Dropped(Drop drop) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    auto said = UniqueFd::adopt(ends[0]), say = UniqueFd::adopt(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      drop();
      if (::write(say.get(), "x", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    char byte = 0;
    REQUIRE(::read(said.get(), &byte, 1) == 1);
  }
  Dropped(const Dropped&) = delete;
  ~Dropped() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

struct stat info_of(const std::string& path) {
  struct stat found {};
  CHECK(::lstat(path.c_str(), &found) == 0);
  return found;
}

bool is_there(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0;
}

}  // namespace

TEST_CASE("app listeners: a Unix socket is bound once, and shared by all slots") {
  const TempDir dir;
  const auto where = Where::path(dir / "app.sock");
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto first = fixture.serve(1, where);
  const auto second = fixture.serve(2, where);
  CHECK(cookie(first.get()) == cookie(second.get()));
  CHECK(connect_to(where));
  CHECK(has_waiting(second.get()));
  CHECK(fixture.names() == std::vector<std::string>{"unix:" + (dir / "app.sock")});
}

TEST_CASE("app listeners: the file has the mode that the worker's umask leaves") {
  const TempDir dir;
  auto where = Where::path(dir / "app.sock");
  where.umask = 0117;
  Fixture fixture;
  fixture.join(1, 0);
  REQUIRE(fixture.bind(1, where).error == 0);
  CHECK((info_of(dir / "app.sock").st_mode & 0777) == 0660);
}

TEST_CASE(
    "app listeners: the file has the mode of an fchmod() of the socket, as with the kernel's own bind()") {
  const TempDir dir;
  Fixture fixture;
  fixture.join(1, 0);
  const auto where = Where::path(dir / "app.sock");
  auto own = socket_for(where);
  REQUIRE(::fchmod(own.get(), 0620) == 0);
  REQUIRE(fixture.ask(1, LIVESWAP_BIND, where.text(), 0, std::move(own)) == 0);
  CHECK((info_of(dir / "app.sock").st_mode & 0777) == 0600);
}

TEST_CASE("app listeners: a socket that is removed and bound again stays, and is always reachable") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  const auto where = Where::path(path);
  Fixture fixture;
  fixture.join(1, 0);
  const auto first = fixture.serve(1, where);
  const auto file = info_of(path).st_ino;
  fixture.join(2, 0, 2);
  // By any spelling of the path.
  for (const std::string& name : {path, dir / "./app.sock", dir / "//app.sock"}) {
    CAPTURE(name);
    CHECK(fixture.ask(2, LIVESWAP_UNLINK, name) == 0);
    CHECK(info_of(path).st_ino == file);
    CHECK(connect_to(where));
    const auto again = fixture.bind(2, Where::path(name));
    CHECK(again.error == 0);
    CHECK(cookie(again.fd.get()) == cookie(first.get()));
  }
  CHECK(fixture.names().size() == 1);
}

TEST_CASE("app listeners: a path of --listen means that listener, and is not removed") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  Fixture fixture(2, {}, {{"local", "unix:" + path}});
  fixture.join(1, 1);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, path) == 0);
  CHECK(is_there(path));
  for (const std::string& name : {path, dir / "./app.sock"}) {
    const auto held = fixture.bind(1, Where::path(name));
    CHECK(held.error == 0);
    CHECK(cookie(held.fd.get()) == cookie(fixture.listeners().of_slot(1)[0]));
  }
  const auto packets = fixture.bind(1, Where::path(path, SOCK_SEQPACKET));
  CHECK(packets.error == EADDRINUSE);
}

TEST_CASE("app listeners: only sockets are removed, and no link is followed") {
  const TempDir dir;
  Fixture fixture;
  fixture.join(1, 0);
  std::ofstream(dir / "file") << "precious";
  REQUIRE(::symlink((dir / "file").c_str(), (dir / "to-file").c_str()) == 0);
  for (const std::string name : {"file", "to-file"}) {
    CHECK(fixture.ask(1, LIVESWAP_UNLINK, dir / name) == ENOTSOCK);
    CHECK(is_there(dir / name));
  }
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, dir / "none") == ENOENT);

  const auto stale = Where::path(dir / "stale");
  { REQUIRE(::bind(socket_for(stale).get(), stale.get(), stale.size) == 0); }
  REQUIRE(::symlink((dir / "stale").c_str(), (dir / "to-stale").c_str()) == 0);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, dir / "to-stale") == ENOTSOCK);
  CHECK(fixture.bind(1, stale).error == EADDRINUSE);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, dir / "stale") == 0);
  CHECK_FALSE(is_there(dir / "stale"));
  CHECK(fixture.bind(1, stale).error == 0);
  // A symbolic link in place of the file, and a dangling one.
  REQUIRE(::symlink((dir / "elsewhere").c_str(), (dir / "dangling").c_str()) == 0);
  CHECK(fixture.bind(1, Where::path(dir / "dangling")).error == EADDRINUSE);
  CHECK_FALSE(is_there(dir / "elsewhere"));
}

TEST_CASE("app listeners: a dropped listener removes its own file, and no other") {
  const TempDir dir;
  const std::string mine = dir / "mine", moved = dir / "moved", file = dir / "file";
  {
    Fixture fixture;
    fixture.join(1, 0);
    const auto a = fixture.serve(1, Where::path(mine)), b = fixture.serve(1, Where::path(moved));
    const auto c = fixture.serve(1, Where::path(file));
    REQUIRE(::rename(moved.c_str(), (dir / "renamed").c_str()) == 0);
    REQUIRE(::unlink(file.c_str()) == 0);
    std::ofstream(file) << "precious";
    fixture.ready(1);
    fixture.look();
    fixture.leave(1);
    fixture.join(2, 0);
    fixture.ready(2);
    fixture.look(3'000);
    CHECK(fixture.app_listeners().idle());
  }
  CHECK_FALSE(is_there(mine));
  CHECK(is_there(dir / "renamed"));
  CHECK(std::filesystem::file_size(file) == 8);
}

TEST_CASE("app listeners: a missing file is recreated, and leads to the same socket") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  const auto where = Where::path(path);
  Fixture fixture;
  fixture.join(1, 0);
  const auto first = fixture.serve(1, where);
  REQUIRE(::chmod(path.c_str(), 0620) == 0);
  CHECK(fixture.listeners().mend_files().empty());
  REQUIRE(::unlink(path.c_str()) == 0);
  const auto mended = fixture.listeners().mend_files();
  REQUIRE(mended.size() == 1);
  CHECK(mended[0].report.kind == master::FileReport::Kind::mended);
  CHECK((info_of(path).st_mode & 0777) == 0620);
  CHECK(connect_to(where));
  CHECK(has_waiting(first.get()));
  // Also for a worker that binds before the next look().
  REQUIRE(::unlink(path.c_str()) == 0);
  fixture.join(2, 0, 2);
  CHECK(cookie(fixture.serve(2, where).get()) == cookie(first.get()));
  CHECK(fixture.listeners().mend_files().empty());
}

namespace {

// Cleaners look at every file.
void remove_all(const TempDir& dir) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir / "")) files.push_back(entry.path());
  for (const auto& file : files) ::unlink(file.c_str());
}

// The new socket that the worker was sent.
UniqueFd replacement_for(Fixture& fixture, rollout::WorkerId worker) {
  for (auto& one : fixture.told)
    if (one.kind == LIVESWAP_REPLACE && one.worker == worker) return std::move(one.descriptor);
  return {};
}

}  // namespace

TEST_CASE(
    "app listeners: without a second link workers get a new socket, and the former one serves its queued "
    "connections") {
  const TempDir dir;
  const auto where = Where::path(dir / "app.sock");
  Fixture fixture;
  fixture.join(1, 0);
  const auto first = fixture.serve(1, where);
  const auto client = connect_to(where);
  remove_all(dir);
  const auto found = fixture.listeners().mend_files();
  REQUIRE(found.size() == 1);
  CHECK(found[0].report.kind == master::FileReport::Kind::replaced);
  CHECK(found[0].report.former == cookie(first.get()));
  fixture.app_listeners().replaced(*found[0].endpoint, found[0].report.former);
  const auto second = replacement_for(fixture, 1);
  REQUIRE(second);
  CHECK(fixture.told.back().text == cookie_text(first.get()));
  CHECK(connect_to(where));
  CHECK(accept_from(second.get()));
  CHECK(accept_from(first.get()));
  // Known under the new name: closing the former socket gives up nothing.
  fixture.ready(1);
  fixture.look();
  fixture.tell(1, LIVESWAP_UNLISTEN, cookie_text(first.get()));
  fixture.look(5'000);
  CHECK(connect_to(where));
  fixture.tell(1, LIVESWAP_UNLISTEN, cookie_text(second.get()));
  fixture.look(5'000);
  CHECK(std::filesystem::is_empty(dir / ""));
}

TEST_CASE("app listeners: a lent socket is replaced too, and its owner and mode stay") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  Fixture fixture(2, {}, {{"local", "unix:" + path}});
  fixture.join(1, 1);
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  CHECK(fixture.listeners().mend_files().empty());
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(fixture.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::mended);
  const auto first = cookie(fixture.listeners().of_slot(1)[0]);
  remove_all(dir);
  const auto found = fixture.listeners().mend_files();
  REQUIRE(found.at(0).report.kind == master::FileReport::Kind::replaced);
  CHECK(found[0].report.former == first);
  fixture.app_listeners().replaced(*found[0].endpoint, first);
  CHECK(cookie(replacement_for(fixture, 1).get()) == cookie(fixture.listeners().of_slot(1)[0]));
  CHECK((info_of(path).st_mode & 0777) == 0640);
  CHECK(connect_to(Where::path(path)));
}

TEST_CASE(
    "app listeners: what a worker says of the lent socket before, after it was replaced, is said of its "
    "listener") {
  const TempDir dir;
  const auto where = Where::path(dir / "app.sock");
  Fixture fixture(2, {}, {{"local", "unix:" + (dir / "app.sock")}});
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto former = UniqueFd::adopt(::fcntl(fixture.listeners().of_slot(0)[0], F_DUPFD_CLOEXEC, 0));
  remove_all(dir);
  const auto found = fixture.listeners().mend_files();
  REQUIRE(found.at(0).report.kind == master::FileReport::Kind::replaced);
  fixture.app_listeners().replaced(*found[0].endpoint, found[0].report.former);
  CHECK(replacement_for(fixture, 2));
  // Neither worker has read that yet.
  CHECK(fixture.ask(1, LIVESWAP_LISTEN, cookie_text(former.get())) == 0);
  fixture.wait_on(1, former.get());
  for (const unsigned id : {1u, 2u}) fixture.ready(id);
  fixture.look();
  const auto client = connect_to(where);
  // The first worker host closes the former socket after replacing the descriptor.
  fixture.tell(1, LIVESWAP_UNLISTEN, cookie_text(former.get()));
  CHECK(fixture.ask(2, LIVESWAP_HANDOFF, cookie_text(former.get()), 0,
                    accept_from(fixture.listeners().of_slot(1)[0])) == 0);
  const bool adopted = std::any_of(fixture.told.begin(), fixture.told.end(), [](const auto& one) {
    return one.worker == 1 && one.kind == LIVESWAP_ADOPT;
  });
  CHECK(adopted);
}

TEST_CASE("app listeners: another program's file is left alone and reported") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  const auto where = Where::path(path);
  Fixture fixture;
  fixture.join(1, 0);
  const auto held = fixture.serve(1, where);
  REQUIRE(::unlink(path.c_str()) == 0);
  std::ofstream(path) << "precious";
  for (int i = 0; i < 2; ++i)
    CHECK(fixture.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::lost);
  CHECK(std::filesystem::file_size(path) == 8);
  REQUIRE(::unlink(path.c_str()) == 0);
  const auto other = socket_for(where);
  REQUIRE(::bind(other.get(), where.get(), where.size) == 0);
  CHECK(fixture.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::lost);
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(fixture.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::mended);
  CHECK(connect_to(where));
}

TEST_CASE("app listeners: a missing directory is reported, and its return repairs the path") {
  const TempDir dir;
  REQUIRE(::mkdir((dir / "run").c_str(), 0755) == 0);
  const auto where = Where::path(dir / "run/app.sock");
  Fixture fixture;
  fixture.join(1, 0);
  const auto held = fixture.serve(1, where);
  std::filesystem::remove_all(dir / "run");
  CHECK(fixture.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::lost);
  REQUIRE(::mkdir((dir / "run").c_str(), 0755) == 0);
  CHECK(fixture.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::replaced);
  CHECK(connect_to(where));
}

namespace {

int rename_as(Fixture& fixture, rollout::WorkerId worker, const std::string& from, const std::string& to) {
  return fixture.ask(worker, LIVESWAP_RENAME, from + std::string(1, '\0') + to);
}

}  // namespace

TEST_CASE("app listeners: workers that bind one name and rename it have one socket, in whatever order") {
  const TempDir dir;
  const std::string path = dir / "app.sock", name = dir / "app.sock.tmp";
  Fixture fixture;
  for (const unsigned id : {1u, 2u, 3u}) fixture.join(id, 0, id);
  const auto first = fixture.bind(1, Where::path(name)), second = fixture.bind(2, Where::path(name));
  CHECK(cookie(first.fd.get()) == cookie(second.fd.get()));
  CHECK(rename_as(fixture, 1, name, path) == 0);
  // The second one may still change the mode of its file.
  CHECK(is_there(name));
  CHECK(rename_as(fixture, 2, name, path) == 0);
  CHECK_FALSE(is_there(name));
  CHECK(fixture.listen(1, first) == 0);
  CHECK(connect_to(Where::path(path)));
  CHECK(fixture.names() == std::vector<std::string>{"unix:" + path});
  fixture.ready(1);
  fixture.ready(2);
  // A later generation.
  CHECK(fixture.ask(3, LIVESWAP_UNLINK, name) == ENOENT);
  const auto third = fixture.bind(3, Where::path(name));
  CHECK(cookie(third.fd.get()) == cookie(first.fd.get()));
  CHECK(is_there(name));
  CHECK(rename_as(fixture, 3, name, path) == 0);
  CHECK_FALSE(is_there(name));
  CHECK(connect_to(Where::path(path)));
  CHECK(fixture.ask(3, LIVESWAP_UNLINK, path) == 0);
  CHECK(is_there(path));
}

TEST_CASE("app listeners: workers' own names, renamed to one path, become one socket") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto first = fixture.serve(1, Where::path(dir / "app.1"));
  CHECK(rename_as(fixture, 1, dir / "app.1", path) == 0);
  const auto own = fixture.serve(2, Where::path(dir / "app.2"));
  REQUIRE(::chmod((dir / "app.2").c_str(), 0622) == 0);
  CHECK(rename_as(fixture, 2, dir / "app.2", path) == 0);
  REQUIRE(fixture.told.back().descriptor);
  CHECK(cookie(fixture.told.back().descriptor.get()) == cookie(first.get()));
  CHECK_FALSE(is_there(dir / "app.2"));
  CHECK((info_of(path).st_mode & 0777) == 0622);
  CHECK(connect_to(Where::path(path)));
  CHECK(has_waiting(first.get()));
}

TEST_CASE("app listeners: a socket that the master does not hold is the application's to rename") {
  const TempDir dir;
  Fixture fixture;
  fixture.join(1, 0);
  std::ofstream(dir / "file") << "x";
  CHECK(rename_as(fixture, 1, dir / "file", dir / "other") == LIVESWAP_STAYS_OWN);
  CHECK(fixture.ask(1, LIVESWAP_RENAME, dir / "file") == EINVAL);
  // Another link to a held socket is none of its names.
  const auto held = fixture.serve(1, Where::path(dir / "app.sock"));
  REQUIRE(::link((dir / "app.sock").c_str(), (dir / "app.bak").c_str()) == 0);
  CHECK(rename_as(fixture, 1, dir / "app.bak", dir / "other") == LIVESWAP_STAYS_OWN);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, dir / "app.bak") == 0);
  CHECK_FALSE(is_there(dir / "app.bak"));
}

TEST_CASE("app listeners: a socket can be renamed before it listens") {
  const TempDir dir;
  Fixture fixture;
  fixture.join(1, 0);
  const auto held = fixture.bind(1, Where::path(dir / "new"));
  REQUIRE(::rename((dir / "new").c_str(), (dir / "app.sock").c_str()) == 0);
  CHECK(fixture.listen(1, held) == 0);
  CHECK(connect_to(Where::path(dir / "app.sock")));
}

TEST_CASE("app listeners: abstract names, and SOCK_SEQPACKET") {
  const TempDir dir;
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto name = Where::abstract(dir / "abstract");
  const auto first = fixture.serve(1, name);
  CHECK(cookie(fixture.serve(2, name).get()) == cookie(first.get()));
  CHECK(connect_to(name));
  CHECK(fixture.names() == std::vector<std::string>{"unix:@" + (dir / "abstract")});

  const auto packets = Where::path(dir / "packets", SOCK_SEQPACKET);
  const auto held = fixture.serve(1, packets);
  CHECK(connect_to(packets));
  CHECK(cookie(fixture.serve(2, packets).get()) == cookie(held.get()));
}

TEST_CASE("app listeners: the longest possible path, without a final NUL") {
  const TempDir dir;
  auto path = dir / "";
  path += std::string(sizeof(sockaddr_un::sun_path) - path.size(), 'x');
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 0, 2);
  const auto held = fixture.serve(1, Where::path(path));
  CHECK(is_there(path));
  CHECK(fixture.ask(2, LIVESWAP_UNLINK, path) == 0);
  CHECK(cookie(fixture.bind(2, Where::path(path)).fd.get()) == cookie(held.get()));
}

TEST_CASE("app listeners: the workers' user owns the file, and gets no further rights") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  const std::string open = dir / "open";
  REQUIRE(::mkdir(open.c_str(), 0700) == 0);
  REQUIRE(::chown(open.c_str(), nobody, nobody) == 0);
  // The directories on the way.
  REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
  Fixture fixture(2, as_nobody());
  fixture.join(1, 0);
  const auto held = fixture.serve(1, Where::path(open + "/app.sock"));
  CHECK(info_of(open + "/app.sock").st_uid == nobody);
  CHECK(fixture.bind(1, Where::path(dir / "app.sock")).error == EACCES);
  const auto other = Where::path(dir / "other.sock");
  const auto fd = socket_for(other);
  REQUIRE(::bind(fd.get(), other.get(), other.size) == 0);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, dir / "other.sock") == EACCES);
  CHECK(is_there(dir / "other.sock"));
  CHECK(::geteuid() == 0);
  std::ofstream(dir / "still-root") << "x";
  CHECK(info_of(dir / "still-root").st_uid == 0);
}

TEST_CASE("app listeners: a worker without root's rights has none here") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
  const Dropped process([] {
    if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(1);
  });
  const auto other = Where::path(dir / "other.sock");
  const auto fd = socket_for(other);
  REQUIRE(::bind(fd.get(), other.get(), other.size) == 0);
  Fixture fixture;
  fixture.join(1, 0, 1, false, process.pid());
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, dir / "other.sock") == EACCES);
  CHECK(is_there(dir / "other.sock"));
  CHECK(fixture.bind(1, Where::path(dir / "app.sock")).error == EACCES);
  CHECK(fixture.bind(1, Where::v4(1023)).error == EACCES);
  CHECK(fixture.bind(1, Where::v4(0)).error == 0);
}

TEST_CASE("app listeners: paths of a worker with another root directory are refused") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  REQUIRE(::mkdir((dir / "root").c_str(), 0755) == 0);
  const std::string root = dir / "root";
  const Dropped process([&root] {
    if (::chroot(root.c_str()) != 0) ::_exit(1);
  });
  Fixture fixture;
  fixture.join(1, 0, 1, false, process.pid());
  const auto other = Where::path(dir / "other.sock");
  const auto fd = socket_for(other);
  REQUIRE(::bind(fd.get(), other.get(), other.size) == 0);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, dir / "other.sock") == EXDEV);
  CHECK(is_there(dir / "other.sock"));
  CHECK(fixture.bind(1, Where::path(dir / "app.sock")).error == EXDEV);
  CHECK_FALSE(is_there(dir / "app.sock"));
  CHECK(fixture.bind(1, Where::abstract(dir / "name")).error == 0);
  CHECK(fixture.bind(1, Where::v4(0)).error == 0);
}
