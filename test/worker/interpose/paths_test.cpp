// unlink, remove and rename of the files of Unix listeners (interpose/paths.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <climits>
#include <cstdio>

#include "liveswap_plugin.h"
#include "test/support/sanitized.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

bool exists(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0;
}

using Remove = std::function<int(const char* path)>;

const std::pair<const char*, Remove> kRemovals[] = {
    {"unlink", [](const char* path) { return ::unlink(path); }},
    {"remove", [](const char* path) { return std::remove(path); }},
    {"unlinkat", [](const char* path) { return ::unlinkat(AT_FDCWD, path, 0); }},
};

using Rename = std::function<int(const char* from, const char* to)>;

const std::pair<const char*, Rename> kRenamings[] = {
    {"rename", [](const char* from, const char* to) { return std::rename(from, to); }},
    {"renameat", [](const char* from, const char* to) { return ::renameat(AT_FDCWD, from, AT_FDCWD, to); }},
    {"renameat2",
     [](const char* from, const char* to) { return ::renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }},
};

struct Worker : HostedWorker {
  TempDir directory;
  std::string path = directory / "socket", other = directory / "other";
};

// `body` with each of the calls, in a worker of its own.
template <typename Calls>
void with_each(const Calls& calls,
               const std::function<void(Worker&, const decltype(calls[0].second)&)>& body) {
  for (const auto& [name, call] : calls) {
    CAPTURE(name);
    CHECK(in_child([&body, &call = call] {
      Worker worker;
      errno = 0;
      body(worker, call);
    }));
  }
}

FakeMaster::Answer answer_with(std::uint64_t error) {
  return [error](const Received&) { return Reply{error, -1}; };
}

}  // namespace

TEST_CASE("unlink: the file of a listener is the master's, which says what becomes of it") {
  with_each(kRemovals, [](Worker& worker, const Remove& remove) {
    const UniqueFd listener = masters_listener_at(worker.path);
    {
      FakeMaster master(worker);
      REQUIRE(remove(worker.path.c_str()) == 0);
      REQUIRE(exists(worker.path));
      REQUIRE(master.first(LIVESWAP_UNLINK).text == worker.path);
    }
    FakeMaster master(worker, answer_with(EACCES));
    REQUIRE(remove(worker.path.c_str()) == -1);
    REQUIRE(errno == EACCES);
  });
}

TEST_CASE("unlink: a relative path is made absolute") {
  with_each(kRemovals, [](Worker& worker, const Remove& remove) {
    const UniqueFd listener = masters_listener_at(worker.path);
    REQUIRE(::chdir(worker.directory.path().c_str()) == 0);
    FakeMaster master(worker);
    REQUIRE(remove("socket") == 0);
    REQUIRE(master.first(LIVESWAP_UNLINK).text == worker.path);
    REQUIRE(::chdir("/") == 0);
  });
}

TEST_CASE("unlink: without a master the file is removed") {
  with_each(kRemovals, [](Worker& worker, const Remove& remove) {
    const UniqueFd listener = masters_listener_at(worker.path);
    worker.die();
    REQUIRE(remove(worker.path.c_str()) == 0);
    REQUIRE(!exists(worker.path));
  });
}

TEST_CASE("unlink: what is no socket is libc's affair, and what is not there is not there") {
  with_each(kRemovals, [](Worker& worker, const Remove& remove) {
    worker.directory.write("file", "content");
    REQUIRE(remove((worker.directory / "file").c_str()) == 0);
    REQUIRE(!exists(worker.directory / "file"));
    REQUIRE(remove(worker.path.c_str()) == -1);
    REQUIRE(errno == ENOENT);
    if (!sanitized()) {
      REQUIRE(remove(nullptr) == -1);
      REQUIRE(errno == EFAULT);
    }
    REQUIRE(remove((worker.directory / "file/below").c_str()) == -1);
    REQUIRE(worker.kinds().empty());
  });
}

TEST_CASE("unlink: a path that is not there is not looked for again: another worker may just have bound it") {
  with_each(kRemovals, [](Worker& worker, const Remove& remove) {
    const auto unlink = libc.unlink, plain = libc.remove;
    const auto unlinkat = libc.unlinkat;
    libc.unlink = libc.remove = [](const char*) { return 0; };
    libc.unlinkat = [](int, const char*, int) { return 0; };
    const int done = remove(worker.path.c_str());
    const int error = errno;
    libc.unlink = unlink, libc.remove = plain, libc.unlinkat = unlinkat;
    REQUIRE(done == -1);
    REQUIRE(error == ENOENT);
  });
}

TEST_CASE("unlink: a ready worker that has bound nothing removes its sockets itself; a child too") {
  with_each(kRemovals, [](Worker& worker, const Remove& remove) {
    UniqueFd listener = masters_listener_at(worker.path);
    REQUIRE(in_child([&] { REQUIRE(remove(worker.path.c_str()) == 0); }));
    REQUIRE(!exists(worker.path));
    listener = masters_listener_at(worker.path);
    liveswap_ready();
    REQUIRE(remove(worker.path.c_str()) == 0);
    REQUIRE(!exists(worker.path));
    REQUIRE(!worker.receive()->text.empty() == false);
    // One that has bound a listener asks.
    listener = masters_listener_at(worker.path);
    const Held held;
    FakeMaster master(worker);
    REQUIRE(remove(worker.path.c_str()) == 0);
    REQUIRE(exists(worker.path));
  });
}

TEST_CASE("unlinkat: below another directory, and of directories, it is libc's affair") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd listener = masters_listener_at(worker.path);
    worker.directory.directory("inner");
    const UniqueFd at = UniqueFd::adopt(::open(worker.directory.path().c_str(), O_PATH | O_CLOEXEC));
    REQUIRE(::unlinkat(at.get(), "inner", AT_REMOVEDIR) == 0);
    REQUIRE(::unlinkat(at.get(), "socket", 0) == 0);
    REQUIRE(!exists(worker.path));
    REQUIRE(worker.kinds().empty());
    const UniqueFd second = masters_listener_at(worker.path);
    FakeMaster master(worker);
    REQUIRE(::unlinkat(at.get(), worker.path.c_str(), 0) == 0);  // an absolute path is one
    REQUIRE(exists(worker.path));
  }));
}

TEST_CASE("rename: the master renames the file of a listener") {
  with_each(kRenamings, [](Worker& worker, const Rename& rename) {
    const Held held(0, masters_listener_at(worker.path));
    {
      FakeMaster master(worker);
      REQUIRE(rename(worker.path.c_str(), worker.other.c_str()) == 0);
      REQUIRE(exists(worker.path));
      REQUIRE(master.first(LIVESWAP_RENAME).text == worker.path + '\0' + worker.other);
    }
    FakeMaster master(worker, answer_with(EXDEV));
    REQUIRE(rename(worker.path.c_str(), worker.other.c_str()) == -1);
    REQUIRE(errno == EXDEV);
  });
}

TEST_CASE("rename: of relative paths the master gets both as absolute ones") {
  with_each(kRenamings, [](Worker& worker, const Rename& rename) {
    const Held held(0, masters_listener_at(worker.path));
    REQUIRE(::chdir(worker.directory.path().c_str()) == 0);
    FakeMaster master(worker);
    REQUIRE(rename("socket", "other") == 0);
    REQUIRE(master.first(LIVESWAP_RENAME).text == worker.path + '\0' + worker.other);
    REQUIRE(::chdir("/") == 0);
  });
}

TEST_CASE("rename: a listener that another generation has at the new path replaces this worker's") {
  with_each(kRenamings, [](Worker& worker, const Rename& rename) {
    const Held held(0, masters_listener_at(worker.path));
    const UniqueFd masters = masters_listener_at(worker.other);
    fd_flags_set(masters.get(), FLAG_HOST);
    FakeMaster master(worker, [&](const Received&) { return Reply{0, masters.get()}; });
    REQUIRE(rename(worker.path.c_str(), worker.other.c_str()) == 0);
    REQUIRE(cookie_of(held.fd.get()) == cookie_of(masters.get()));
    REQUIRE(listeners_at(worker.other.c_str()) != nullptr);
    REQUIRE(fd_flags(held.fd.get()) == FLAG_HELD);
    fd_flags_set(masters.get(), 0);
  });
}

TEST_CASE("rename: a listener that is at a path of which this worker has none cannot be taken") {
  with_each(kRenamings, [](Worker& worker, const Rename& rename) {
    const Held held;
    const UniqueFd stray = masters_listener_at(worker.path), masters = masters_listener_at(worker.other);
    FakeMaster master(worker, [&](const Received&) { return Reply{0, masters.get()}; });
    REQUIRE(rename(worker.path.c_str(), worker.other.c_str()) == -1);
    REQUIRE(errno == EXDEV);
    master.heard();
    REQUIRE(listeners_at(worker.other.c_str()) == nullptr);
  });
}

TEST_CASE("rename: what the master does not hold, or without a master, libc renames") {
  with_each(kRenamings, [](Worker& worker, const Rename& rename) {
    const Held held(0, masters_listener_at(worker.path));
    {
      FakeMaster master(worker, answer_with(LIVESWAP_STAYS_OWN));
      REQUIRE(rename(worker.path.c_str(), worker.other.c_str()) == 0);
      REQUIRE(exists(worker.other));
    }
    worker.die();
    REQUIRE(rename(worker.other.c_str(), worker.path.c_str()) == 0);
    REQUIRE(exists(worker.path));
  });
}

TEST_CASE("rename: files, what is not there, and paths that are none") {
  with_each(kRenamings, [](Worker& worker, const Rename& rename) {
    const Held held(0, masters_listener_at(worker.path));
    worker.directory.write("file", "content");
    const std::string file = worker.directory / "file", moved = worker.directory / "moved";
    REQUIRE(rename(file.c_str(), moved.c_str()) == 0);
    REQUIRE(exists(moved));
    REQUIRE(rename(file.c_str(), moved.c_str()) == -1);
    REQUIRE(errno == ENOENT);
    if (!sanitized()) {
      REQUIRE(rename(nullptr, moved.c_str()) == -1);
      REQUIRE(errno == EFAULT);
      REQUIRE(rename(worker.path.c_str(), nullptr) == -1);
      REQUIRE(errno == EFAULT);
    }
    const std::string long_one = "/" + std::string(2 * PATH_MAX, 'x');
    REQUIRE(rename(worker.path.c_str(), long_one.c_str()) == -1);
    REQUIRE(errno == ENAMETOOLONG);
    REQUIRE(worker.kinds().empty());
  });
}

TEST_CASE("rename: a forked child renames for itself, as does a worker that has bound nothing") {
  with_each(kRenamings, [](Worker& worker, const Rename& rename) {
    const UniqueFd listener = masters_listener_at(worker.path);
    REQUIRE(rename(worker.path.c_str(), worker.other.c_str()) == 0);
    hold(listener);
    REQUIRE(in_child([&] { REQUIRE(rename(worker.other.c_str(), worker.path.c_str()) == 0); }));
    REQUIRE(exists(worker.path));
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_FORKED});
  });
}

TEST_CASE("renameat2: an exchange, or one that must not replace, is libc's affair") {
  CHECK(in_child([] {
    const Worker worker;
    const Held held(0, masters_listener_at(worker.path));
    const UniqueFd at = UniqueFd::adopt(::open(worker.directory.path().c_str(), O_PATH | O_CLOEXEC));
    REQUIRE(::renameat2(AT_FDCWD, worker.path.c_str(), AT_FDCWD, worker.other.c_str(), RENAME_NOREPLACE) ==
            0);
    REQUIRE(::renameat(at.get(), "other", at.get(), "socket") == 0);
    REQUIRE(exists(worker.path));
    REQUIRE(worker.kinds().empty());
  }));
}
