#include "release/soundness.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "release/seal.hpp"
#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap::release;

namespace {

// Changes a byte in place, as an editor or a bad disk would, and sets the time of the last write back.
void change(const std::string& path) {
  struct stat before {};
  REQUIRE(::stat(path.c_str(), &before) == 0);
  std::string bytes = get(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  fs::permissions(path, fs::perms::owner_all);
  const timespec times[2] = {before.st_atim, before.st_mtim};
  struct stat after {};
  // Older kernels record the time of a change in steps of 4 ms.
  do {
    put(path, bytes);
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    REQUIRE(::stat(path.c_str(), &after) == 0);
  } while (after.st_ctim.tv_sec == before.st_ctim.tv_sec && after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

}  // namespace

TEST_CASE("a seal stays as long as nobody touches the files, and no program can restore it") {
  const TempDir dir;
  put(dir / "r/libapp.so", noise(5000, 1));
  put(dir / "r/.needed/libinner.so", noise(5000, 2));
  const auto seal = seal_of(dir / "r").value();
  CHECK(seal_of(dir / "r").value() == seal);
  CHECK(get(dir / "r/libapp.so").size() == 5000);
  CHECK(seal_of(dir / "r").value() == seal);
  change(dir / "r/.needed/libinner.so");
  const auto changed = seal_of(dir / "r").value();
  CHECK(changed != seal);
  change(dir / "r/.needed/libinner.so");
  CHECK(seal_of(dir / "r").value() != seal);
  put(dir / "r/more", "");
  CHECK(seal_of(dir / "r").value() != changed);
  CHECK_FALSE(seal_of(dir / "none").has_value());
}

TEST_CASE("a release that was taken is sound and has its seal") {
  const TempDir dir;
  put(dir / "srv/libapp.so", noise(100'000, 1));
  const Store store(dir.path());
  const auto taken = store.take(dir / "srv/libapp.so", {}).value();
  CHECK(taken.seal == seal_of(store.directory(taken.id)).value());
  const auto sound = examine(store, {dir / "srv/libapp.so", taken.id}, {}).value();
  CHECK(sound.seal == taken.seal);
  CHECK(sound.mended.empty());
  CHECK(store.take(dir / "srv/libapp.so", {}).value().seal == taken.seal);
}

TEST_CASE("one changed byte is found and named, and mended where the file is still the same") {
  const TempDir dir;
  const std::string path = dir / "srv/libapp.so";
  put(path, noise(100'000, 1));
  const Store store(dir.path());
  const auto taken = store.take(path, {}).value();
  change(taken.file);
  const auto mended = examine(store, {path, taken.id}, {}).value();
  CHECK(contains(mended.mended, taken.file + " has the SHA-256 "));
  CHECK(contains(mended.mended, "mended from " + path));
  CHECK(mended.seal == seal_of(store.directory(taken.id)).value());
  CHECK(get(taken.file) == get(path));

  change(taken.file);
  put(path, noise(100'000, 2));
  const auto other = examine(store, {path, taken.id}, {});
  CHECK(contains(other.error().text, taken.file + " has the SHA-256 "));
  CHECK(contains(other.error().text, "expected " + taken.id));
  CHECK(contains(other.error().text, path + " has other content by now"));
  fs::remove(path);
  CHECK(contains(examine(store, {path, taken.id}, {}).error().text, "No such file"));
  fs::remove(taken.file);
  CHECK(contains(examine(store, {path, taken.id}, {}).error().text, taken.file));
}

TEST_CASE("private libraries are part of what is hashed") {
  const TempDir dir;
  const std::string path = dir / "srv/libapp.so";
  put_library("app", path);
  put_library("inner", dir / "srv/libinner.so");
  put_library("deep", dir / "srv/sub/libdeep.so");
  put_library("back", dir / "srv/libback.so");
  const Store store(dir.path());
  const auto taken = store.take(path, {}).value();
  CHECK(examine(store, {path, taken.id}, {}).value().seal == taken.seal);
  fs::remove_all(dir / "srv");
  CHECK(examine(store, {path, taken.id}, {}).value().seal == taken.seal);
  change(store.directory(taken.id) + "/sub/libdeep.so");
  const auto differs = examine(store, {path, taken.id}, {});
  CHECK(contains(differs.error().text, "and its private libraries) have together the id "));
}

TEST_CASE("libraries from elsewhere are hashed in the store, whatever is at their own path") {
  const TempDir dir;
  const std::string remote = FAMILY "/remote", path = dir / "srv/libremote.so";
  put_library("remote", path);
  put_library("mid", remote + "/libmid.so");
  put_library("back", remote + "/deeper/libback.so");
  const Store store(dir.path());
  const auto taken = store.take(path, {}).value();
  CHECK(examine(store, {path, taken.id}, {}).value().seal == taken.seal);
  const std::string copy = store.directory(taken.id) + "/.needed/libmid.so";
  change(copy);
  CHECK_FALSE(check_bytes(store.directory(taken.id), "libremote.so", taken.id).has_value());
  CHECK(contains(examine(store, {path, taken.id}, {}).value().mended, "mended from " + path));
  CHECK(get(copy) == get(remote + "/libmid.so"));
  change(copy);
  fs::remove_all(remote);
  CHECK_FALSE(examine(store, {path, taken.id}, {}).has_value());
}

TEST_CASE("what cannot be read now is no statement about the bytes") {
  const TempDir dir;
  const std::string path = dir / "srv/libapp.so";
  put(path, noise(100'000, 1));
  const Store store(dir.path());
  const auto taken = store.take(path, {}).value();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{0, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto now = examine(store, {path, taken.id}, {});
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE_FALSE(now.has_value());
  CHECK_FALSE(now.error().differs);
  CHECK(contains(now.error().text, "Too many open files"));
  CHECK(examine(store, {path, taken.id}, {}).has_value());

  fs::remove(path);
  for (const char* kind : {"missing", "link", "directory"}) {
    CAPTURE(kind);
    fs::remove_all(taken.file);
    if (kind == std::string("link")) fs::create_symlink("/nowhere", taken.file);
    if (kind == std::string("directory")) fs::create_directory(taken.file);
    CHECK(examine(store, {path, taken.id}, {}).error().differs);
  }
}

TEST_CASE("what is written to for as long as it is hashed is neither sound nor different") {
  const TempDir dir;
  const std::string path = dir / "srv/libapp.so";
  put(path, noise(std::size_t{20} << 20, 1));
  const Store store(dir.path());
  const auto taken = store.take(path, {}).value();
  std::atomic<bool> enough = false;
  std::thread writer([&] {
    while (!enough) ::utimensat(AT_FDCWD, taken.file.c_str(), nullptr, 0);
  });
  const auto found = examine(store, {path, taken.id}, {});
  enough = true;
  writer.join();
  REQUIRE_FALSE(found.has_value());
  CHECK_FALSE(found.error().differs);
  CHECK(contains(found.error().text, "were written to while they were hashed"));
  CHECK(examine(store, {path, taken.id}, {}).has_value());
}

TEST_CASE("a file that does not belong to a release is removed when it is mended") {
  const TempDir dir;
  const std::string remote = FAMILY "/remote", path = dir / "srv/libremote.so";
  put_library("remote", path);
  put_library("mid", remote + "/libmid.so");
  put_library("back", remote + "/deeper/libback.so");
  const Store store(dir.path());
  const auto taken = store.take(path, {}).value();
  const std::string directory = store.directory(taken.id);
  for (const char* name : {"/.needed/libforeign.so", "/foreign"}) {
    CAPTURE(name);
    put(directory + name, "x");
    CHECK_FALSE(check_bytes(directory, "libremote.so", taken.id).has_value());
    CHECK(contains(examine(store, {path, taken.id}, {}).value().mended, "mended from " + path));
    CHECK_FALSE(fs::exists(directory + name));
  }
  // A file that NFS keeps goes away by itself.
  put(directory + "/.needed/.nfs0000000001", "x");
  CHECK(examine(store, {path, taken.id}, {}).value().mended.empty());
  fs::remove_all(remote);

  put(dir / "srv/a.so", "a");
  put(dir / "srv/b.so", "a");
  const auto plain = store.take(dir / "srv/a.so", {}).value();
  REQUIRE(store.take(dir / "srv/b.so", {}).value().id == plain.id);
  put(store.directory(plain.id) + "/.needed/libc.so.6", "x");
  CHECK(examine(store, {dir / "srv/a.so", plain.id}, {}).has_value());
  CHECK_FALSE(fs::exists(store.directory(plain.id) + "/.needed"));
  CHECK(fs::exists(store.directory(plain.id) + "/b.so"));
}

TEST_CASE("each name of the same content is looked at for itself") {
  const TempDir dir;
  const std::string a = dir / "srv/a.so", b = dir / "srv/b.so";
  put(a, noise(10'000, 1));
  put(b, noise(10'000, 1));
  const Store store(dir.path());
  const auto taken = store.take(a, {}).value();
  REQUIRE(store.take(b, {}).value().id == taken.id);
  fs::remove(a);
  fs::remove(taken.file);
  put(taken.file, "other");
  CHECK(examine(store, {b, taken.id}, {}).has_value());
  CHECK(examine(store, {a, taken.id}, {}).error().differs);
}
