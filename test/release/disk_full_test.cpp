// The file system becomes full at each write in turn. The test makes it in a mount namespace of this process.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "release/committed.hpp"
#include "release/history.hpp"
#include "release/store.hpp"
#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

bool own_mounts() {
  static const bool have = ::geteuid() == 0 && ::unshare(CLONE_NEWNS) == 0 &&
                           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  if (!have) MESSAGE("left out: only root can mount a small file system");
  return have;
}

class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    fs::create_directory(path);
    REQUIRE(::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=64m,nr_inodes=10000,mode=0755") == 0);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() { ::umount2(path_.c_str(), MNT_DETACH); }

  // Fills the disk, except for so many pages and files.
  void leave(std::uint64_t pages, std::uint64_t files) const {
    struct statvfs info {};
    REQUIRE(::statvfs(path_.c_str(), &info) == 0);
    const auto blocks = (info.f_blocks - info.f_bfree) * info.f_frsize / 4096 + pages;
    const auto inodes = info.f_files - info.f_ffree + files;
    const std::string options =
        "size=" + std::to_string(blocks * 4096) + ",nr_inodes=" + std::to_string(inodes);
    REQUIRE(::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, options.c_str()) == 0);
  }

 private:
  std::string path_;
};

// Repeats the operation with one more page, or one more file, until it succeeds. Returns how often it failed.
// `try_it` returns the error, empty on success; `intact` checks the state after each failure.
int starve(const SmallDisk& disk, bool of_files, const std::function<std::string()>& try_it,
           const std::function<void()>& intact) {
  for (int room = 0; room < 200; ++room) {
    CAPTURE(room);
    CAPTURE(of_files);
    disk.leave(of_files ? 5000 : static_cast<unsigned>(room), of_files ? static_cast<unsigned>(room) : 5000);
    const auto error = try_it();
    if (error.empty()) return room;
    CHECK_MESSAGE(contains(error, "No space left on device"), error);
    intact();
  }
  return -1;
}

}  // namespace

TEST_CASE("a full disk: a release is taken whole or not at all") {
  if (!own_mounts()) return;
  for (const bool of_files : {false, true}) {
    const TempDir dir;
    const SmallDisk disk(dir / "state");
    const Store store(dir / "state");
    put(dir / "srv/libold.so", noise(10'000, 1));
    const auto old = store.take(dir / "srv/libold.so", {});
    REQUIRE(old.has_value());
    put_library("app", dir / "srv/libapp.so");
    put_library("inner", dir / "srv/libinner.so");
    put_library("deep", dir / "srv/sub/libdeep.so");
    put_library("back", dir / "srv/libback.so");
    const auto before = tree(dir / "state");
    const int failures = starve(
        disk, of_files,
        [&] {
          const auto taken = store.take(dir / "srv/libapp.so", {});
          return taken ? std::string() : taken.error().text;
        },
        [&] { CHECK(tree(dir / "state") == before); });
    CHECK(failures >= 5);
    CHECK(get(old->file) == get(dir / "srv/libold.so"));
    disk.leave(5000, 5000);
    CHECK(store.take(dir / "srv/libapp.so", {})->how == "already there");
  }
}

TEST_CASE(
    "a full disk: a directory is taken whole or not at all, also beside a release that shares its files") {
  if (!own_mounts()) return;
  for (const bool of_files : {false, true}) {
    const TempDir dir;
    const SmallDisk disk(dir / "state");
    const Store store(dir / "state");
    for (unsigned i = 0; i < 8; ++i) put(dir / ("srv/app/d/" + std::to_string(i)), noise(5000, i));
    REQUIRE(store.take(dir / "srv/app", {}).has_value());
    for (unsigned i = 0; i < 6; ++i) put(dir / ("srv/app/d/" + std::to_string(i)), noise(5000, 10 + i));
    const auto before = tree(dir / "state");
    const int failures = starve(
        disk, of_files,
        [&] {
          const auto taken = store.take(dir / "srv/app", {});
          return taken ? std::string() : taken.error().text;
        },
        [&] { CHECK(tree(dir / "state") == before); });
    CHECK(failures >= 5);
    disk.leave(5000, 5000);
    CHECK(store.take(dir / "srv/app", {})->how == "already there");
  }
}

TEST_CASE("a full disk: the very first release") {
  if (!own_mounts()) return;
  const TempDir dir;
  const SmallDisk disk(dir / "state");
  put(dir / "libapp.so", noise(10'000, 1));
  CHECK(starve(
            disk, true,
            [&] {
              const auto taken = Store(dir / "state").take(dir / "libapp.so", {});
              return taken ? std::string() : taken.error().text;
            },
            [&] { CHECK(tree(dir / "state").size() <= 1); }) == 2);  // `releases` exists from the second on
}

TEST_CASE("a full disk: a damaged copy is mended or left, and never lost") {
  if (!own_mounts()) return;
  const TempDir dir;
  const SmallDisk disk(dir / "state");
  const Store store(dir / "state");
  put(dir / "libapp.so", noise(10'000, 1));
  const auto taken = store.take(dir / "libapp.so", {});
  fs::remove(taken->file);
  put(taken->file, "damaged");
  CHECK(starve(
            disk, false,
            [&] {
              const auto again = store.take(dir / "libapp.so", {});
              return again ? std::string() : again.error().text;
            },
            [&] { CHECK(get(taken->file) == "damaged"); }) > 0);
  CHECK(get(taken->file) == get(dir / "libapp.so"));
}

TEST_CASE("a full disk: releases are removed all the same") {
  if (!own_mounts()) return;
  const TempDir dir;
  const SmallDisk disk(dir / "state");
  const Store store(dir / "state");
  put(dir / "libapp.so", "x");
  const auto taken = store.take(dir / "libapp.so", {});
  disk.leave(0, 0);
  REQUIRE(store.keep_only({}).has_value());
  CHECK(fs::is_empty(dir / "state/releases"));
}

TEST_CASE("a full disk: what is committed stays committed") {
  if (!own_mounts()) return;
  for (const bool of_files : {false, true})
    for (const bool recorded : {false, true}) {
      const TempDir dir;
      const SmallDisk disk(dir / "state");
      const std::string head = dir / "state/HEAD";
      const Committed old{"/srv/old.so", recorded ? std::string(64, 'a') : ""};
      if (recorded) REQUIRE(commit(head, dir / "state", old).has_value());
      else put(head, old.path + "\n");
      const Committed fresh{"/srv/new.so", std::string(64, 'b')};
      const int failures = starve(
          disk, of_files,
          [&] {
            const auto done = commit(head, dir / "state", fresh);
            return done ? std::string() : done.error().text;
          },
          [&] {
            const auto now = read_committed(head, dir / "state");
            CHECK(now.value().path == old.path);
            CHECK(now.value().id == old.id);
          });
      CHECK(failures > 0);
      CHECK(read_committed(head, dir / "state")->id == fresh.id);
    }
}

TEST_CASE("a full disk: the history stays as it was") {
  if (!own_mounts()) return;
  for (const bool of_files : {false, true}) {
    const TempDir dir;
    const SmallDisk disk(dir / "state");
    History history(dir / "state");
    const nlohmann::json long_receipt = {{"outcome", "ok"}, {"reason", std::string(20'000, 'x')}};
    REQUIRE(history.add(long_receipt).value() == 1);
    const auto before = tree(dir / "state");
    const int failures = starve(
        disk, of_files,
        [&] {
          const auto added = history.add(long_receipt);
          return added ? std::string() : added.error().text;
        },
        [&] { CHECK(tree(dir / "state") == before); });
    CHECK(failures >= (of_files ? 1 : 5));
    CHECK(history.list(9).receipts.size() == 2);
  }
}
