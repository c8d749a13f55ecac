#include "release/store.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/unique_fd.hpp"
#include "release/family.hpp"
#include "release/sha256.hpp"
#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

std::string id_for(char digit) { return std::string(64, digit); }

ino_t inode(const std::string& path) {
  struct stat info {};
  ::stat(path.c_str(), &info);
  return info.st_ino;
}

}  // namespace

TEST_CASE("a library is taken under the hash of its content and its own name") {
  const TempDir dir;
  const std::string content = noise(100'000, 1);
  put(dir / "srv/libapp.so", content);
  const Store store(dir.path());
  const ::mode_t mask = ::umask(0077);  // a strict umask must not shut out workers of another user
  const auto taken = store.take(dir / "srv/libapp.so", {});
  ::umask(mask);
  REQUIRE_MESSAGE(taken.has_value(), taken.error().text);
  CHECK(taken->id == sha256_of(content));
  CHECK(taken->file == dir / ("releases/" + taken->id + "/libapp.so"));
  CHECK(taken->file == store.file(taken->id, "/another/place/libapp.so"));
  CHECK(get(taken->file) == content);
  CHECK(mode_of(taken->file) == 0444);
  CHECK(mode_of(dir / "releases") == 0755);
  CHECK(mode_of(dir / ("releases/" + taken->id)) == 0755);
  CHECK(store.has(taken->id, "libapp.so"));
  CHECK_FALSE(store.has(taken->id, "libother.so"));
  CHECK_FALSE(store.has("../..", "libapp.so"));
  CHECK(tree(dir / "releases").size() == 2);  // nothing is left beside it
}

TEST_CASE("a program stays executable, and nobody may write to it") {
  const TempDir dir;
  const Store store(dir.path());
  put(dir / "program", get("/proc/self/exe"));
  put(dir / "script.py", "#!/usr/bin/python3\n");
  for (const ::mode_t mode : {0700u, 0755u, 0777u}) {
    ::chmod((dir / "program").c_str(), mode);
    ::chmod((dir / "script.py").c_str(), mode);
    const auto program = store.take(dir / "program", {}), script = store.take(dir / "script.py", {});
    REQUIRE_MESSAGE(program.has_value(), program.error().text);
    REQUIRE_MESSAGE(script.has_value(), script.error().text);
    CHECK(mode_of(program->file) == 0555);
    CHECK(mode_of(script->file) == 0444);
    REQUIRE(store.keep_only({}).has_value());
  }
}

TEST_CASE("SHA-256 is SHA-256") {
  CHECK(sha256_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("what the original becomes is nothing to the copy") {
  const TempDir dir;
  put(dir / "libapp.so", "one");
  const auto taken = Store(dir.path()).take(dir / "libapp.so", {});
  REQUIRE(taken.has_value());
  put(dir / "libapp.so", "two and longer");
  CHECK(get(taken->file) == "one");
  fs::remove(dir / "libapp.so");
  CHECK(get(taken->file) == "one");
}

TEST_CASE("the same library again is found, not written") {
  const TempDir dir;
  put(dir / "libapp.so", "content");
  const Store store(dir.path());
  const auto first = store.take(dir / "libapp.so", {});
  REQUIRE(first.has_value());
  const auto before = inode(first->file);
  const auto again = store.take(dir / "libapp.so", {});
  REQUIRE(again.has_value());
  CHECK(again->id == first->id);
  CHECK(again->how == "already there");
  CHECK(inode(again->file) == before);
  CHECK(tree(dir / "releases").size() == 2);
}

TEST_CASE("the same library under another name is a second name") {
  const TempDir dir;
  put(dir / "libapp.so", "content");
  put(dir / "libapp_v2.so", "content");
  const Store store(dir.path());
  const auto first = store.take(dir / "libapp.so", {});
  const auto second = store.take(dir / "libapp_v2.so", {});
  REQUIRE(second.has_value());
  CHECK(second->id == first->id);
  CHECK(inode(second->file) == inode(first->file));
  CHECK(store.has(first->id, "libapp.so"));
  CHECK(store.has(first->id, "libapp_v2.so"));
}

TEST_CASE("a second name of a damaged copy is a sound one") {
  const TempDir dir;
  put(dir / "libapp.so", "content");
  put(dir / "libapp_v2.so", "content");
  const Store store(dir.path());
  const auto first = store.take(dir / "libapp.so", {});
  fs::remove(first->file);
  put(first->file, "damaged");
  CHECK(get(store.take(dir / "libapp_v2.so", {})->file) == "content");
}

TEST_CASE("a damaged copy is replaced, and stays for those who have mapped it") {
  const TempDir dir;
  const std::string content = noise(10'000, 2);
  put(dir / "libapp.so", content);
  const Store store(dir.path());
  const auto first = store.take(dir / "libapp.so", {});
  REQUIRE(first.has_value());
  REQUIRE(::chmod(first->file.c_str(), 0600) == 0);
  SUBCASE("overwritten") { put(first->file, "damaged"); }
  SUBCASE("cut") { REQUIRE(::truncate(first->file.c_str(), 9'999) == 0); }
  SUBCASE("one bit") {
    std::string other = content;
    other[5000] ^= 1;
    put(first->file, other);
  }
  const std::string damaged = get(first->file);
  const auto mapped = UniqueFd::adopt(::open(first->file.c_str(), O_RDONLY | O_CLOEXEC));
  const auto* bytes =
      static_cast<const char*>(::mmap(nullptr, damaged.size(), PROT_READ, MAP_PRIVATE, mapped.get(), 0));

  const auto again = store.take(dir / "libapp.so", {});
  REQUIRE_MESSAGE(again.has_value(), again.error().text);
  CHECK(contains(again->how, "in place of a damaged copy"));
  CHECK(get(again->file) == content);
  CHECK(mode_of(again->file) == 0444);
  CHECK(std::string(bytes, damaged.size()) == damaged);
  CHECK(tree(dir / "releases").size() == 2);
  ::munmap(const_cast<char*>(bytes), damaged.size());
}

TEST_CASE("a library that is written to over and over is taken whole or not at all") {
  const TempDir dir;
  constexpr std::size_t size = 8'000'000;
  const std::string path = dir / "libapp.so";
  put(path, std::string(size, 'a'));
  const Store store(dir.path());
  std::atomic<bool> stop{false};
  std::thread builder([&] {
    const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    for (char letter = 'b'; !stop; letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1)) {
      const std::string piece(size / 8, letter);
      const auto again = UniqueFd::adopt(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
      for (std::size_t i = 0; i < 8; ++i)
        if (::pwrite(again.get(), piece.data(), piece.size(), static_cast<off_t>(i * piece.size())) < 0)
          return;
    }
  });
  for (int i = 0; i < 3; ++i) {
    const auto taken = store.take(path, {});
    if (!taken) CHECK(contains(taken.error().text, "is a build or a copy still running?"));
    if (taken) CHECK(get(taken->file).find_first_not_of(get(taken->file).front()) == std::string::npos);
  }
  stop = true;
  builder.join();
  const auto taken = store.take(path, {});
  REQUIRE_MESSAGE(taken.has_value(), taken.error().text);
  for (const auto& entry : fs::directory_iterator(dir / "releases"))
    CHECK(is_id(entry.path().filename().string()));
}

TEST_CASE("what cannot be taken is said, with the path, and leaves nothing") {
  const TempDir dir;
  const Store store(dir.path());
  CHECK(store.take(dir / "none.so", {}).error().text ==
        "cannot open " + (dir / "none.so") + ": No such file or directory");
  CHECK(contains(store.take("libapp.so", {}).error().text, "expected the absolute path"));
  CHECK(contains(store.take("", {}).error().text, "expected the absolute path"));
  CHECK(contains(store.take("/", {}).error().text, "expected the absolute path"));
  CHECK(contains(store.take(dir / "..", {}).error().text, "expected the absolute path"));
  CHECK(contains(store.take(dir / "a\nb", {}).error().text, "without a line break"));
  CHECK(fs::is_empty(dir / "releases"));
  CHECK(contains(Store(dir / "gone").take(dir / "none.so", {}).error().text,
                 "cannot make directory " + (dir / "gone")));
}

TEST_CASE("a store that others can write to is not used") {
  const TempDir dir;
  put(dir / "libapp.so", "x");
  fs::create_directory(dir / "releases");
  REQUIRE(::chmod((dir / "releases").c_str(), 0777) == 0);
  CHECK(contains(Store(dir.path()).take(dir / "libapp.so", {}).error().text, "has mode 0777, expected user"));
  fs::rename(dir / "releases", dir / "elsewhere");
  fs::create_directory_symlink("elsewhere", dir / "releases");
  CHECK_FALSE(Store(dir.path()).take(dir / "libapp.so", {}).has_value());
}

TEST_CASE("an id is completed from its first digits") {
  const TempDir dir;
  const Store store(dir.path());
  CHECK(contains(store.complete("abcdef").error().text, "none in"));
  const std::string a = "abcdef1" + std::string(57, '0');
  const std::string b = "abcdef2" + std::string(57, '0');
  for (const auto& id : {a, b}) fs::create_directories(dir / ("releases/" + id));
  CHECK(store.complete("abcdef1").value() == a);
  CHECK(store.complete("ABCDEF2").value() == b);
  CHECK(store.complete(b).value() == b);
  CHECK(contains(store.complete("abcdef").error().text, "say more digits"));
  CHECK(contains(store.complete("abcde").error().text, "expected the first 6 or more hex digits"));
  CHECK(contains(store.complete("../../").error().text, "expected the first 6 or more hex digits"));
  CHECK(contains(store.complete("").error().text, "expected the first 6"));
  CHECK(contains(store.complete("abcdef3").error().text, "none in"));
  CHECK_FALSE(store.complete(a + "0").has_value());
}

TEST_CASE("only the releases that are named are kept, and nothing that is none is touched") {
  const TempDir dir;
  const Store store(dir.path());
  CHECK(store.keep_only({}).has_value());  // the store does not exist yet
  for (const char digit : {'a', 'b', 'c'})
    put(dir / (std::string("releases/") + id_for(digit) + "/sub/lib.so"), "x");
  put(dir / "releases/.new-abc123/libapp.so", "left over");
  put(dir / ("releases/.old-" + id_for('d') + "/libapp.so"), "left over");
  put(dir / "releases/README", "somebody's");
  put(dir / "releases/short/file", "somebody's");
  REQUIRE(store.keep_only({id_for('b'), id_for('f')}).has_value());
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(dir / "releases"))
    left.insert(entry.path().filename().string());
  CHECK(left == std::set<std::string>{id_for('b'), "README", "short"});
  CHECK(get(dir / ("releases/" + id_for('b') + "/sub/lib.so")) == "x");
}

TEST_CASE("nothing is removed while a release is being taken") {
  const TempDir dir;
  put(dir / "releases/.new-abc123/libapp.so", "being written");
  const auto taking = UniqueFd::adopt(::open((dir / "releases").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(::flock(taking.get(), LOCK_SH) == 0);
  const auto kept = Store(dir.path()).keep_only({});
  REQUIRE_FALSE(kept.has_value());
  CHECK(contains(kept.error().text, "is in use"));
  CHECK(fs::exists(dir / "releases/.new-abc123/libapp.so"));
}

TEST_CASE("a release that is removed stays for those who have opened it") {
  const TempDir dir;
  put(dir / "libapp.so", "content");
  const Store store(dir.path());
  const auto taken = store.take(dir / "libapp.so", {});
  const auto open = UniqueFd::adopt(::open(taken->file.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(store.keep_only({}).has_value());
  CHECK_FALSE(store.has(taken->id, "libapp.so"));
  CHECK(sha256_of_file(open.get(), "").value() == taken->id);
}

TEST_CASE("two can take at once") {
  const TempDir dir;
  const Store store(dir.path());
  put(dir / "libapp.so", noise(300'000, 5));
  std::vector<std::thread> threads;
  std::atomic<int> sound{0};
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      const auto taken = store.take(dir / "libapp.so", {});
      if (taken && identify(taken->file).value_or("") == taken->id) ++sound;
    });
  for (auto& thread : threads) thread.join();
  CHECK(sound == 8);
  CHECK(tree(dir / "releases").size() == 2);
}
