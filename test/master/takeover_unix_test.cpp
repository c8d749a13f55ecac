// Unix sockets that applications bind: whose file it is, what is removed, and how a path is bound again.
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

#include "takeover_desk.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr uid_t nobody = 65534;

Desk::Rules as_nobody() {
  Desk::Rules rules;
  rules.identity = master::Identity{nobody, nobody, {}};
  return rules;
}

// A process that has given up its rights, as some servers do once they have started.
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

TEST_CASE("takeover: a Unix socket is bound once, and shared by all slots") {
  const TempDir dir;
  const auto where = Where::path(dir / "app.sock");
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 1);
  const auto first = desk.serve(1, where);
  const auto second = desk.serve(2, where);
  CHECK(cookie(first.get()) == cookie(second.get()));
  CHECK(connect_to(where));
  CHECK(has_waiting(second.get()));
  CHECK(desk.names() == std::vector<std::string>{"unix:" + (dir / "app.sock")});
}

TEST_CASE("takeover: the file has the mode that the worker's umask leaves") {
  const TempDir dir;
  auto where = Where::path(dir / "app.sock");
  where.umask = 0117;
  Desk desk;
  desk.join(1, 0);
  REQUIRE(desk.bind(1, where).error == 0);
  CHECK((info_of(dir / "app.sock").st_mode & 0777) == 0660);
}

TEST_CASE("takeover: and what an fchmod() of the socket has left, as with the kernel's own bind()") {
  const TempDir dir;
  Desk desk;
  desk.join(1, 0);
  const auto where = Where::path(dir / "app.sock");
  auto own = socket_for(where);
  REQUIRE(::fchmod(own.get(), 0620) == 0);
  REQUIRE(desk.ask(1, LIVESWAP_BIND, where.text(), 0, std::move(own)) == 0);
  CHECK((info_of(dir / "app.sock").st_mode & 0777) == 0600);
}

TEST_CASE("takeover: what is removed and bound again stays, and is never out of reach") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  const auto where = Where::path(path);
  Desk desk;
  desk.join(1, 0);
  const auto first = desk.serve(1, where);
  const auto file = info_of(path).st_ino;
  desk.join(2, 0, 2);
  // Whatever it is called.
  for (const std::string& name : {path, dir / "./app.sock", dir / "//app.sock"}) {
    CAPTURE(name);
    CHECK(desk.ask(2, LIVESWAP_UNLINK, name) == 0);
    CHECK(info_of(path).st_ino == file);
    CHECK(connect_to(where));
    const auto again = desk.bind(2, Where::path(name));
    CHECK(again.error == 0);
    CHECK(cookie(again.fd.get()) == cookie(first.get()));
  }
  CHECK(desk.names().size() == 1);
}

TEST_CASE("takeover: a path of --listen is taken for that listener, and not removed") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  Desk desk(2, {}, {{"local", "unix:" + path}});
  desk.join(1, 1);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, path) == 0);
  CHECK(is_there(path));
  for (const std::string& name : {path, dir / "./app.sock"}) {
    const auto held = desk.bind(1, Where::path(name));
    CHECK(held.error == 0);
    CHECK(cookie(held.fd.get()) == cookie(desk.listeners().of_slot(1)[0]));
  }
  const auto packets = desk.bind(1, Where::path(path, SOCK_SEQPACKET));
  CHECK(packets.error == EADDRINUSE);
}

TEST_CASE("takeover: only sockets are removed, and no link is followed") {
  const TempDir dir;
  Desk desk;
  desk.join(1, 0);
  std::ofstream(dir / "file") << "precious";
  REQUIRE(::symlink((dir / "file").c_str(), (dir / "to-file").c_str()) == 0);
  for (const std::string name : {"file", "to-file"}) {
    CHECK(desk.ask(1, LIVESWAP_UNLINK, dir / name) == ENOTSOCK);
    CHECK(is_there(dir / name));
  }
  CHECK(desk.ask(1, LIVESWAP_UNLINK, dir / "none") == ENOENT);

  const auto stale = Where::path(dir / "stale");
  { REQUIRE(::bind(socket_for(stale).get(), stale.get(), stale.size) == 0); }
  REQUIRE(::symlink((dir / "stale").c_str(), (dir / "to-stale").c_str()) == 0);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, dir / "to-stale") == ENOTSOCK);
  CHECK(desk.bind(1, stale).error == EADDRINUSE);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, dir / "stale") == 0);
  CHECK_FALSE(is_there(dir / "stale"));
  CHECK(desk.bind(1, stale).error == 0);
  // A link in the place of the file that it had made, and one that leads nowhere.
  REQUIRE(::symlink((dir / "elsewhere").c_str(), (dir / "dangling").c_str()) == 0);
  CHECK(desk.bind(1, Where::path(dir / "dangling")).error == EADDRINUSE);
  CHECK_FALSE(is_there(dir / "elsewhere"));
}

TEST_CASE("takeover: a dropped listener takes its own file with it, and no other") {
  const TempDir dir;
  const std::string mine = dir / "mine", moved = dir / "moved", file = dir / "file";
  {
    Desk desk;
    desk.join(1, 0);
    const auto a = desk.serve(1, Where::path(mine)), b = desk.serve(1, Where::path(moved));
    const auto c = desk.serve(1, Where::path(file));
    REQUIRE(::rename(moved.c_str(), (dir / "renamed").c_str()) == 0);
    REQUIRE(::unlink(file.c_str()) == 0);
    std::ofstream(file) << "precious";
    desk.ready(1);
    desk.look();
    desk.leave(1);
    desk.join(2, 0);
    desk.ready(2);
    desk.look(3'000);
    CHECK(desk.takeover().idle());
  }
  CHECK_FALSE(is_there(mine));
  CHECK(is_there(dir / "renamed"));
  CHECK(std::filesystem::file_size(file) == 8);
}

TEST_CASE("takeover: a path whose file is gone is made again, and leads to the same socket") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  const auto where = Where::path(path);
  Desk desk;
  desk.join(1, 0);
  const auto first = desk.serve(1, where);
  REQUIRE(::chmod(path.c_str(), 0620) == 0);
  CHECK(desk.listeners().mend_files().empty());
  REQUIRE(::unlink(path.c_str()) == 0);
  const auto mended = desk.listeners().mend_files();
  REQUIRE(mended.size() == 1);
  CHECK(mended[0].report.kind == master::FileReport::Kind::mended);
  CHECK((info_of(path).st_mode & 0777) == 0620);
  CHECK(connect_to(where));
  CHECK(has_waiting(first.get()));
  // Also for who binds before anybody has looked.
  REQUIRE(::unlink(path.c_str()) == 0);
  desk.join(2, 0, 2);
  CHECK(cookie(desk.serve(2, where).get()) == cookie(first.get()));
  CHECK(desk.listeners().mend_files().empty());
}

namespace {

// Cleaners look at every file.
void remove_all(const TempDir& dir) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir / "")) files.push_back(entry.path());
  for (const auto& file : files) ::unlink(file.c_str());
}

// What that worker was sent in place of its socket.
UniqueFd replacement_for(Desk& desk, rollout::WorkerId worker) {
  for (auto& one : desk.told)
    if (one.kind == LIVESWAP_REPLACE && one.worker == worker) return std::move(one.descriptor);
  return {};
}

}  // namespace

TEST_CASE("takeover: with no link left, workers get another socket, and the former one serves what it has") {
  const TempDir dir;
  const auto where = Where::path(dir / "app.sock");
  Desk desk;
  desk.join(1, 0);
  const auto first = desk.serve(1, where);
  const auto client = connect_to(where);
  remove_all(dir);
  const auto found = desk.listeners().mend_files();
  REQUIRE(found.size() == 1);
  CHECK(found[0].report.kind == master::FileReport::Kind::replaced);
  CHECK(found[0].report.former == cookie(first.get()));
  desk.takeover().replaced(*found[0].endpoint, found[0].report.former);
  const auto second = replacement_for(desk, 1);
  REQUIRE(second);
  CHECK(desk.told.back().text == cookie_text(first.get()));
  CHECK(connect_to(where));
  CHECK(accept_from(second.get()));
  CHECK(accept_from(first.get()));
  // It is known under its new name: closing the former one gives up nothing.
  desk.ready(1);
  desk.look();
  desk.tell(1, LIVESWAP_UNLISTEN, cookie_text(first.get()));
  desk.look(5'000);
  CHECK(connect_to(where));
  desk.tell(1, LIVESWAP_UNLISTEN, cookie_text(second.get()));
  desk.look(5'000);
  CHECK(std::filesystem::is_empty(dir / ""));
}

TEST_CASE("takeover: a lent socket is replaced likewise, and its owner and mode stay") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  Desk desk(2, {}, {{"local", "unix:" + path}});
  desk.join(1, 1);
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  CHECK(desk.listeners().mend_files().empty());
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(desk.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::mended);
  const auto first = cookie(desk.listeners().of_slot(1)[0]);
  remove_all(dir);
  const auto found = desk.listeners().mend_files();
  REQUIRE(found.at(0).report.kind == master::FileReport::Kind::replaced);
  CHECK(found[0].report.former == first);
  desk.takeover().replaced(*found[0].endpoint, first);
  CHECK(cookie(replacement_for(desk, 1).get()) == cookie(desk.listeners().of_slot(1)[0]));
  CHECK((info_of(path).st_mode & 0777) == 0640);
  CHECK(connect_to(Where::path(path)));
}

TEST_CASE(
    "takeover: what a worker says of the lent socket before, after it was replaced, is said of its "
    "listener") {
  const TempDir dir;
  const auto where = Where::path(dir / "app.sock");
  Desk desk(2, {}, {{"local", "unix:" + (dir / "app.sock")}});
  desk.join(1, 0);
  desk.join(2, 1);
  const auto former = UniqueFd::adopt(::fcntl(desk.listeners().of_slot(0)[0], F_DUPFD_CLOEXEC, 0));
  remove_all(dir);
  const auto found = desk.listeners().mend_files();
  REQUIRE(found.at(0).report.kind == master::FileReport::Kind::replaced);
  desk.takeover().replaced(*found[0].endpoint, found[0].report.former);
  CHECK(replacement_for(desk, 2));
  // Neither has read that yet.
  CHECK(desk.ask(1, LIVESWAP_LISTEN, cookie_text(former.get())) == 0);
  desk.wait_on(1, former.get());
  for (const unsigned id : {1u, 2u}) desk.ready(id);
  desk.look();
  const auto client = connect_to(where);
  // The worker host of the first closes the former one when it has put the new one in its place.
  desk.tell(1, LIVESWAP_UNLISTEN, cookie_text(former.get()));
  CHECK(desk.ask(2, LIVESWAP_HANDOFF, cookie_text(former.get()), 0,
                 accept_from(desk.listeners().of_slot(1)[0])) == 0);
  const bool adopted = std::any_of(desk.told.begin(), desk.told.end(), [](const auto& one) {
    return one.worker == 1 && one.kind == LIVESWAP_ADOPT;
  });
  CHECK(adopted);
}

TEST_CASE("takeover: somebody else's file is left alone, and said to be in the way") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  const auto where = Where::path(path);
  Desk desk;
  desk.join(1, 0);
  const auto held = desk.serve(1, where);
  REQUIRE(::unlink(path.c_str()) == 0);
  std::ofstream(path) << "precious";
  for (int i = 0; i < 2; ++i)
    CHECK(desk.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::lost);
  CHECK(std::filesystem::file_size(path) == 8);
  REQUIRE(::unlink(path.c_str()) == 0);
  const auto other = socket_for(where);
  REQUIRE(::bind(other.get(), where.get(), where.size) == 0);
  CHECK(desk.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::lost);
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(desk.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::mended);
  CHECK(connect_to(where));
}

TEST_CASE("takeover: a directory that is gone is said, and its return mends the path") {
  const TempDir dir;
  REQUIRE(::mkdir((dir / "run").c_str(), 0755) == 0);
  const auto where = Where::path(dir / "run/app.sock");
  Desk desk;
  desk.join(1, 0);
  const auto held = desk.serve(1, where);
  std::filesystem::remove_all(dir / "run");
  CHECK(desk.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::lost);
  REQUIRE(::mkdir((dir / "run").c_str(), 0755) == 0);
  CHECK(desk.listeners().mend_files().at(0).report.kind == master::FileReport::Kind::replaced);
  CHECK(connect_to(where));
}

namespace {

int rename_as(Desk& desk, rollout::WorkerId worker, const std::string& from, const std::string& to) {
  return desk.ask(worker, LIVESWAP_RENAME, from + std::string(1, '\0') + to);
}

}  // namespace

TEST_CASE("takeover: workers that bind one name and rename it have one socket, in whatever order") {
  const TempDir dir;
  const std::string path = dir / "app.sock", name = dir / "app.sock.tmp";
  Desk desk;
  for (const unsigned id : {1u, 2u, 3u}) desk.join(id, 0, id);
  const auto first = desk.bind(1, Where::path(name)), second = desk.bind(2, Where::path(name));
  CHECK(cookie(first.fd.get()) == cookie(second.fd.get()));
  CHECK(rename_as(desk, 1, name, path) == 0);
  // The second one may still want to change the mode of its file.
  CHECK(is_there(name));
  CHECK(rename_as(desk, 2, name, path) == 0);
  CHECK_FALSE(is_there(name));
  CHECK(desk.listen(1, first) == 0);
  CHECK(connect_to(Where::path(path)));
  CHECK(desk.names() == std::vector<std::string>{"unix:" + path});
  desk.ready(1);
  desk.ready(2);
  // A later generation.
  CHECK(desk.ask(3, LIVESWAP_UNLINK, name) == ENOENT);
  const auto third = desk.bind(3, Where::path(name));
  CHECK(cookie(third.fd.get()) == cookie(first.fd.get()));
  CHECK(is_there(name));
  CHECK(rename_as(desk, 3, name, path) == 0);
  CHECK_FALSE(is_there(name));
  CHECK(connect_to(Where::path(path)));
  CHECK(desk.ask(3, LIVESWAP_UNLINK, path) == 0);
  CHECK(is_there(path));
}

TEST_CASE("takeover: names of their own that are renamed to one path become one socket") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 1);
  const auto first = desk.serve(1, Where::path(dir / "app.1"));
  CHECK(rename_as(desk, 1, dir / "app.1", path) == 0);
  const auto own = desk.serve(2, Where::path(dir / "app.2"));
  REQUIRE(::chmod((dir / "app.2").c_str(), 0622) == 0);
  CHECK(rename_as(desk, 2, dir / "app.2", path) == 0);
  REQUIRE(desk.told.back().descriptor);
  CHECK(cookie(desk.told.back().descriptor.get()) == cookie(first.get()));
  CHECK_FALSE(is_there(dir / "app.2"));
  CHECK((info_of(path).st_mode & 0777) == 0622);
  CHECK(connect_to(Where::path(path)));
  CHECK(has_waiting(first.get()));
}

TEST_CASE("takeover: what is not held is the application's own to rename") {
  const TempDir dir;
  Desk desk;
  desk.join(1, 0);
  std::ofstream(dir / "file") << "x";
  CHECK(rename_as(desk, 1, dir / "file", dir / "other") == LIVESWAP_STAYS_OWN);
  CHECK(desk.ask(1, LIVESWAP_RENAME, dir / "file") == EINVAL);
  // Another link to a held socket is no name of its.
  const auto held = desk.serve(1, Where::path(dir / "app.sock"));
  REQUIRE(::link((dir / "app.sock").c_str(), (dir / "app.bak").c_str()) == 0);
  CHECK(rename_as(desk, 1, dir / "app.bak", dir / "other") == LIVESWAP_STAYS_OWN);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, dir / "app.bak") == 0);
  CHECK_FALSE(is_there(dir / "app.bak"));
}

TEST_CASE("takeover: a socket can be renamed before it listens") {
  const TempDir dir;
  Desk desk;
  desk.join(1, 0);
  const auto held = desk.bind(1, Where::path(dir / "new"));
  REQUIRE(::rename((dir / "new").c_str(), (dir / "app.sock").c_str()) == 0);
  CHECK(desk.listen(1, held) == 0);
  CHECK(connect_to(Where::path(dir / "app.sock")));
}

TEST_CASE("takeover: abstract names, and sockets of packets") {
  const TempDir dir;
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 1);
  const auto name = Where::abstract(dir / "abstract");
  const auto first = desk.serve(1, name);
  CHECK(cookie(desk.serve(2, name).get()) == cookie(first.get()));
  CHECK(connect_to(name));
  CHECK(desk.names() == std::vector<std::string>{"unix:@" + (dir / "abstract")});

  const auto packets = Where::path(dir / "packets", SOCK_SEQPACKET);
  const auto held = desk.serve(1, packets);
  CHECK(connect_to(packets));
  CHECK(cookie(desk.serve(2, packets).get()) == cookie(held.get()));
}

TEST_CASE("takeover: the longest path there is, without a NUL behind it") {
  const TempDir dir;
  auto path = dir / "";
  path += std::string(sizeof(sockaddr_un::sun_path) - path.size(), 'x');
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 0, 2);
  const auto held = desk.serve(1, Where::path(path));
  CHECK(is_there(path));
  CHECK(desk.ask(2, LIVESWAP_UNLINK, path) == 0);
  CHECK(cookie(desk.bind(2, Where::path(path)).fd.get()) == cookie(held.get()));
}

TEST_CASE("takeover: the workers' user owns the file, and may only do what he may do") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  const std::string open = dir / "open";
  REQUIRE(::mkdir(open.c_str(), 0700) == 0);
  REQUIRE(::chown(open.c_str(), nobody, nobody) == 0);
  // The way there.
  REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
  Desk desk(2, as_nobody());
  desk.join(1, 0);
  const auto held = desk.serve(1, Where::path(open + "/app.sock"));
  CHECK(info_of(open + "/app.sock").st_uid == nobody);
  CHECK(desk.bind(1, Where::path(dir / "app.sock")).error == EACCES);
  const auto other = Where::path(dir / "other.sock");
  const auto fd = socket_for(other);
  REQUIRE(::bind(fd.get(), other.get(), other.size) == 0);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, dir / "other.sock") == EACCES);
  CHECK(is_there(dir / "other.sock"));
  CHECK(::geteuid() == 0);
  std::ofstream(dir / "still-root") << "x";
  CHECK(info_of(dir / "still-root").st_uid == 0);
}

TEST_CASE("takeover: who has given up root's rights has given them up here, too") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
  const Dropped process([] {
    if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(1);
  });
  const auto other = Where::path(dir / "other.sock");
  const auto fd = socket_for(other);
  REQUIRE(::bind(fd.get(), other.get(), other.size) == 0);
  Desk desk;
  desk.join(1, 0, 1, false, process.pid());
  CHECK(desk.ask(1, LIVESWAP_UNLINK, dir / "other.sock") == EACCES);
  CHECK(is_there(dir / "other.sock"));
  CHECK(desk.bind(1, Where::path(dir / "app.sock")).error == EACCES);
  CHECK(desk.bind(1, Where::v4(1023)).error == EACCES);
  CHECK(desk.bind(1, Where::v4(0)).error == 0);
}

TEST_CASE("takeover: paths of a worker with another root directory are not ours to judge") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  REQUIRE(::mkdir((dir / "root").c_str(), 0755) == 0);
  const std::string root = dir / "root";
  const Dropped process([&root] {
    if (::chroot(root.c_str()) != 0) ::_exit(1);
  });
  Desk desk;
  desk.join(1, 0, 1, false, process.pid());
  const auto other = Where::path(dir / "other.sock");
  const auto fd = socket_for(other);
  REQUIRE(::bind(fd.get(), other.get(), other.size) == 0);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, dir / "other.sock") == EXDEV);
  CHECK(is_there(dir / "other.sock"));
  CHECK(desk.bind(1, Where::path(dir / "app.sock")).error == EXDEV);
  CHECK_FALSE(is_there(dir / "app.sock"));
  CHECK(desk.bind(1, Where::abstract(dir / "name")).error == 0);
  CHECK(desk.bind(1, Where::v4(0)).error == 0);
}
