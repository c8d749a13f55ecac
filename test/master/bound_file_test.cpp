// Owner and mode go to the file that was bound, and to nothing that somebody has put in its place.
#include "master/sockets/bound_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <thread>

#include "app_listeners_fixture.hpp"
#include "master/sockets/sockets.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr uid_t nobody = 65534;
constexpr mode_t precious = 0600;

mode_t mode_of(const std::string& path) {
  struct stat found {};
  CHECK(::lstat(path.c_str(), &found) == 0);
  return found.st_mode & 07777;
}

// A socket that is bound, and a file that is not to be touched.
struct Scene {
  TempDir dir;
  std::string path = dir / "app.sock", target = dir / "target";
  UniqueFd socket = socket_for(Where::path(path));

  Scene() {
    const auto where = Where::path(path);
    REQUIRE(::bind(socket.get(), where.get(), where.size) == 0);
    std::ofstream(target) << "x";
    REQUIRE(::chmod(target.c_str(), precious) == 0);
  }
  void swap_for_link() const {
    REQUIRE(::rename(path.c_str(), (dir / "moved").c_str()) == 0);
    REQUIRE(::symlink(target.c_str(), path.c_str()) == 0);
  }
};

// By a thread that has no capabilities, as a master that is not root.
template <class Work>
void as_nobody(const Scene& scene, Work work) {
  if (::geteuid() == 0) {
    REQUIRE(::chown((scene.dir / "").c_str(), nobody, nobody) == 0);
    REQUIRE(::chown(scene.path.c_str(), nobody, nobody) == 0);
    REQUIRE(::lchown(scene.target.c_str(), nobody, nobody) == 0);
  }
  std::thread([&] {
    if (::geteuid() == 0) REQUIRE(::syscall(SYS_setresuid, nobody, nobody, nobody) == 0);
    work();
  }).join();
}

}  // namespace

TEST_CASE("bound file: its mode and owner are set") {
  const Scene scene;
  const auto file = master::file_of_bound(scene.socket.get(), scene.path);
  REQUIRE(file);
  CHECK(master::set_mode_of(file.get(), 0620) == 0);
  CHECK(mode_of(scene.path) == 0620);
  CHECK(master::set_owner_of(file.get(), ::geteuid(), ::getegid()) == 0);
  as_nobody(scene, [&] {
    const auto mine = master::file_of_bound(scene.socket.get(), scene.path);
    REQUIRE(mine);
    CHECK(master::set_mode_of(mine.get(), 0660) == 0);
  });
  CHECK(mode_of(scene.path) == 0660);
}

TEST_CASE("bound file: a symbolic link in its place is not followed") {
  const Scene scene;
  scene.swap_for_link();
  if (const auto file = master::file_of_bound(scene.socket.get(), scene.path))
    master::set_mode_of(file.get(), 0666);
  CHECK(mode_of(scene.target) == precious);
  const Scene other;
  as_nobody(other, [&] {
    other.swap_for_link();
    CHECK_FALSE(master::file_of_bound(other.socket.get(), other.path));
    CHECK(errno == ENOTSOCK);
  });
}

TEST_CASE("bound file: another name of a socket that lives elsewhere is not taken for it") {
  const Scene scene;
  const auto elsewhere = Where::path(scene.dir / "elsewhere");
  const auto socket = socket_for(elsewhere);
  REQUIRE(::bind(socket.get(), elsewhere.get(), elsewhere.size) == 0);
  REQUIRE(::unlink(scene.path.c_str()) == 0);
  REQUIRE(::link((scene.dir / "elsewhere").c_str(), scene.path.c_str()) == 0);
  as_nobody(scene, [&] {
    CHECK_FALSE(master::file_of_bound(scene.socket.get(), scene.path));
    CHECK(errno == EEXIST);
  });
}

TEST_CASE("bound file: a link that comes between bind and chmod, again and again") {
  const Scene scene;
  std::atomic<bool> over = false;
  std::thread other([&] {
    const std::string link = scene.dir / "link";
    for (struct stat found{}; !over;) {
      if (::lstat(scene.path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) continue;
      if (::symlink(scene.target.c_str(), link.c_str()) == 0 || errno == EEXIST)
        ::rename(link.c_str(), scene.path.c_str());
    }
  });
  for (int i = 0; i < 3'000; ++i) {
    ::unlink(scene.path.c_str());
    const auto bound = master::bind_unix(scene.path, 0666, 8);
  }
  over = true;
  other.join();
  CHECK(mode_of(scene.target) == precious);
}
