#include "release/tree/tree_soundness.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "../support.hpp"
#include "release/tree/manifest.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

// An application with many files, and its release.
struct Deployed {
  TempDir dir;
  std::string path = dir / "srv/app";
  Store store{dir.path()};
  Store::Taken taken;

  Deployed() {
    for (unsigned i = 0; i < 20; ++i)
      put(path + "/d" + std::to_string(i % 5) + "/f" + std::to_string(i), noise(500, i));
    fs::create_symlink("f0", path + "/d0/link");
    taken = store.take(path, {}).value();
  }
  tl::expected<Sound, Unsound> look(Hashing hashing) const {
    return examine(store, {path, taken.id}, {}, hashing);
  }
  std::string trouble(Hashing hashing) const {
    const auto found = look(hashing);
    return found ? "" : found.error().text;
  }
};

void overwrite(const std::string& path, const std::string& content) {
  const auto mode = mode_of(path);
  ::chmod(path.c_str(), 0600);
  put(path, content);
  ::chmod(path.c_str(), mode);
}

// mtime as it was: only ctime tells.
void overwrite_secretly(const std::string& path, const std::string& content) {
  struct stat info {};
  ::stat(path.c_str(), &info);
  overwrite(path, content);
  const timespec times[2] = {info.st_atim, info.st_mtim};
  ::utimensat(AT_FDCWD, path.c_str(), times, 0);
}

}  // namespace

TEST_CASE("a damaged tree is told of before it runs, by the name of what differs") {
  using Harm = std::function<void(const std::string&)>;
  const std::vector<std::pair<std::string, Harm>> harms{
      {"changed: d1/f1;", [](const std::string& place) { overwrite(place + "/d1/f1", noise(500, 99)); }},
      {"changed: d1/f1;",
       [](const std::string& place) { overwrite_secretly(place + "/d1/f1", noise(500, 99)); }},
      {"missing: d1/f1;", [](const std::string& place) { fs::remove(place + "/d1/f1"); }},
      {"changed: d1/f1;", [](const std::string& place) { ::chmod((place + "/d1/f1").c_str(), 0555); }},
      {"changed: d1;", [](const std::string& place) { ::chmod((place + "/d1").c_str(), 0777); }},
      {"changed: d0/link;",
       [](const std::string& place) {
         fs::remove(place + "/d0/link");
         fs::create_symlink("f5", place + "/d0/link");
       }},
      {"d1/f1 is a FIFO",
       [](const std::string& place) {
         fs::remove(place + "/d1/f1");
         REQUIRE(::mkfifo((place + "/d1/f1").c_str(), 0444) == 0);
       }},
      {"cannot open directory ", [](const std::string& place) { fs::remove_all(place); }}};
  for (const auto& [expected, harm] : harms)
    for (const auto hashing : {Hashing::all, Hashing::changed}) {
      CAPTURE(expected);
      const Deployed app;
      CHECK(app.look(hashing).value().seal == "tree");
      fs::remove_all(app.path);  // from which it would be mended
      CHECK(app.look(hashing).value().mended.empty());
      harm(app.taken.file);
      CHECK(contains(app.trouble(hashing), expected));
      CHECK(app.look(hashing).error().differs);
    }
}

TEST_CASE("a damaged tree is mended from the directory that it was taken from") {
  const Deployed app;
  const auto mended = [&] { return app.look(Hashing::changed).value().mended; };
  overwrite(app.taken.file + "/d1/f1", "x");
  CHECK(contains(mended(), "changed: d1/f1; mended from " + app.path));
  CHECK(tree(app.taken.file) == tree(app.path));
  fs::remove_all(app.taken.file + "/d2");
  put(app.taken.file + "/d3/added", "x");
  CHECK(contains(mended(), "mended from " + app.path));
  CHECK(tree(app.taken.file) == tree(app.path));
  CHECK(mended().empty());
  put(app.path + "/d1/f1", "a new version");
  overwrite(app.taken.file + "/d1/f1", "x");
  CHECK(contains(app.trouble(Hashing::changed), "it cannot be mended: " + app.path + " has other content"));
}

TEST_CASE("what an application writes beside its code is moved away, and the release is sound again") {
  const Deployed app;
  fs::remove_all(app.path);
  put(app.taken.file + "/d1/__pycache__/f.pyc", "x");
  put(app.taken.file + "/uploads/picture", "of a user");
  const auto found = app.look(Hashing::changed).value();
  CHECK(contains(found.mended, "added: d1/__pycache__, d1/__pycache__/f.pyc, uploads and 1 more"));
  CHECK(contains(found.mended, "moved to " + app.store.stray() + "/" + app.taken.id));
  CHECK(get(app.store.stray() + "/" + app.taken.id + "/uploads/picture") == "of a user");
  CHECK_FALSE(fs::exists(app.taken.file + "/uploads"));
  CHECK(app.look(Hashing::changed).value().mended.empty());
  put(app.taken.file + "/uploads/picture", "of another user");
  CHECK_FALSE(app.look(Hashing::changed).value().mended.empty());
  CHECK(get(app.store.stray() + "/" + app.taken.id + "/uploads/picture") == "of a user");
}

TEST_CASE("a damage that no stamp shows is found when everything is hashed, and not before") {
  const Deployed app;
  fs::remove_all(app.path);
  const std::string victim = app.taken.file + "/d1/f1";
  overwrite(victim, noise(500, 99));
  // As if the disk had done it: the stamp is known with the right hash.
  struct stat info {};
  REQUIRE(::stat(victim.c_str(), &info) == 0);
  auto known = KnownFiles::of(app.store.releases());
  const auto manifest = get(manifest_path(app.store.directory(app.taken.id)));
  const auto at = manifest.find("  ./d1/f1\n");
  REQUIRE(at != std::string::npos);
  known.add(stamp_of(info), manifest.substr(at - 64, 64));
  known.keep_for(app.store.releases());
  CHECK(app.look(Hashing::changed).has_value());
  CHECK(contains(app.trouble(Hashing::all), "changed: d1/f1"));
}

TEST_CASE("a wrong or missing list of hashes costs time, and never a verdict") {
  const Deployed app;
  const std::string hashes = app.store.releases() + "/.hashes";
  SUBCASE("missing") { fs::remove(hashes); }
  SUBCASE("garbage") { put(hashes, noise(10'000, 3)); }
  SUBCASE("wrong hashes") {
    auto text = get(hashes);
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
      text[at] = text[at] == 'a' ? 'b' : 'a';
    put(hashes, text);
  }
  CHECK(app.look(Hashing::changed).value().mended.empty());
  CHECK(app.look(Hashing::changed).value().mended.empty());
  fs::remove(manifest_path(app.store.directory(app.taken.id)));
  CHECK(app.look(Hashing::changed).value().mended.empty());
}

TEST_CASE("what cannot be read now is no statement about a tree") {
  const Deployed app;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{0, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto now = app.look(Hashing::all);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE_FALSE(now.has_value());
  CHECK_FALSE(now.error().differs);
}

TEST_CASE("trees that are damaged at random are mended or told of, and never run as they are") {
  std::mt19937 dice(7);
  const Deployed app;
  const auto original = tree(app.path);
  const std::vector<std::function<void(const std::string&)>> harms{
      [](const std::string& path) { overwrite(path, "x"); },
      [](const std::string& path) { overwrite_secretly(path, noise(500, 77)); },
      [](const std::string& path) { fs::remove(path); },
      [](const std::string& path) { ::chmod(path.c_str(), 0644); },
      [](const std::string& path) { (void)::truncate(path.c_str(), 10); },
      [](const std::string& path) { fs::rename(path, path + ".moved"); },
      [](const std::string& path) {
        fs::remove(path);
        fs::create_symlink("/etc/passwd", path);
      },
      [](const std::string& path) {
        fs::remove(path);
        put(path + "/in", "x");
      },
      [](const std::string& path) { put(path + ".new", "x"); },
      [](const std::string& path) { fs::create_symlink("/", path + ".link"); },
      [](const std::string& path) { fs::remove_all(fs::path(path).parent_path()); },
      [](const std::string& path) { fs::permissions(fs::path(path).parent_path(), fs::perms{0700}); }};
  for (int round = 0; round < 25; ++round) {
    CAPTURE(round);
    for (auto count = 1 + dice() % 3; count > 0; --count) {
      const auto number = dice() % 20;
      const auto path = app.taken.file + "/d" + std::to_string(number % 5) + "/f" + std::to_string(number);
      std::error_code ignored;
      if (fs::is_regular_file(fs::symlink_status(path, ignored))) harms[dice() % harms.size()](path);
    }
    const auto found = app.look(round % 2 == 0 ? Hashing::all : Hashing::changed);
    REQUIRE_MESSAGE(found.has_value(), found.error().text);
    REQUIRE_FALSE(found->mended.empty());
    REQUIRE(tree(app.taken.file) == original);
    REQUIRE(app.look(Hashing::all).value().mended.empty());  // modes and links, too
  }
}
