// Directories as releases.
#include "release/tree/tree_store.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "../support.hpp"
#include "release/committed.hpp"
#include "release/family.hpp"
#include "release/sha256.hpp"
#include "release/soundness.hpp"
#include "release/tree/known_files.hpp"
#include "release/tree/manifest.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

struct stat look_at(const std::string& path) {
  struct stat info {};
  REQUIRE_MESSAGE(::lstat(path.c_str(), &info) == 0, path);
  return info;
}

bool same_file(const std::string& a, const std::string& b) { return look_at(a).st_ino == look_at(b).st_ino; }

// A small application.
void put_app(const std::string& path) {
  put(path + "/index.js", "console.log('one')");
  put(path + "/package.json", "{}");
  put(path + "/node_modules/.bin/tool", "#!/bin/sh");
  put(path + "/node_modules/dep/lib/a.js", noise(10'000, 1));
  put(path + "/node_modules/dep/lib/b.js", noise(10'000, 2));
  ::chmod((path + "/node_modules/.bin/tool").c_str(), 0755);
  fs::create_directory(path + "/empty");
  fs::create_symlink("../dep/lib/a.js", path + "/node_modules/.bin/a");
}

Store::Taken take(const Store& store, const std::string& path, Trust trust = {}) {
  const auto taken = store.take(path, trust);
  REQUIRE_MESSAGE(taken.has_value(), taken.error().text);
  return *taken;
}

std::string refusal(const Store& store, const std::string& path) {
  const auto taken = store.take(path, {});
  return taken ? "taken" : taken.error().text;
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  char text[256] = "";
  return std::fgets(text, sizeof text, pipe.get()) ? text : "";
}

// As the documents say (manifest.hpp).
std::string id_by_hand(const std::string& directory) {
  return output_of("cd '" + directory + R"(' && export LC_ALL=C && {
    find . -type d -printf 'd %m %p\n'
    find . -type l -printf 'l %p//%l\n'
    for mode in 400 440 444 500 550 555; do
      find . -type f -perm $mode -exec sha256sum -z {} + | tr '\0' '\n' | sed "s/^/f $mode /"
    done
  } | sort | sha256sum | cut -c1-64 | tr -d '\n')");
}

}  // namespace

TEST_CASE("a tree is taken whole, under the hash of its manifest and its own name") {
  const TempDir dir;
  put_app(dir / "srv/app");
  put(dir / "srv/app/ odd \\ name\t\xff", "x");
  put(dir / "srv/app/secret", "password");
  ::chmod((dir / "srv/app/secret").c_str(), 0600);
  const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 5}};
  REQUIRE(::utimensat(AT_FDCWD, (dir / "srv/app/index.js").c_str(), times, 0) == 0);
  const Store store(dir.path());
  const ::mode_t mask = ::umask(0077);
  const auto taken = take(store, dir / "srv/app");
  ::umask(mask);
  CHECK(taken.file == dir / ("releases/" + taken.id + "/app"));
  CHECK(taken.seal == "tree");
  CHECK(tree(taken.file) == tree(dir / "srv/app"));
  CHECK(fs::read_symlink(taken.file + "/node_modules/.bin/a") == "../dep/lib/a.js");
  CHECK(mode_of(taken.file) == 0555);
  CHECK(mode_of(taken.file + "/node_modules") == 0555);
  CHECK(mode_of(taken.file + "/index.js") == 0444);
  CHECK(mode_of(taken.file + "/node_modules/.bin/tool") == 0555);
  CHECK(mode_of(taken.file + "/secret") == 0400);
  CHECK(mode_of(dir / ("releases/" + taken.id)) == 0755);
  CHECK(look_at(taken.file + "/index.js").st_mtim.tv_sec == 1'000'000'000);
  CHECK(look_at(taken.file + "/index.js").st_mtim.tv_nsec == 5);
  CHECK(store.has(taken.id, dir / "srv/app"));
  CHECK(store.complete(taken.id.substr(0, 8)).value() == taken.id);
  CHECK(identify(dir / "srv/app").value() == taken.id);
  CHECK(sha256_of(get(manifest_path(store.directory(taken.id)))) == taken.id);
  CHECK(id_by_hand(taken.file) == taken.id);
  for (const auto& entry : fs::directory_iterator(dir / "releases"))
    CHECK_FALSE(entry.path().filename().string().starts_with(".new-"));
}

TEST_CASE("a tree: a start, a slash at the end and a dot all name the same") {
  CHECK(absolute_path("./app/", "/srv") == "/srv/app");
  CHECK(absolute_path(".", "/srv/app") == "/srv/app");
  const TempDir dir;
  const Store store(dir.path());
  for (const std::string& path : {dir / "..", dir / ".", std::string("/"), dir / "a/"})
    CHECK(contains(refusal(store, path), "expected the absolute path of a file or directory by its name"));
  fs::create_directory(dir / "empty");
  CHECK(contains(refusal(store, dir / "empty"), "has no file that is to be taken"));
}

TEST_CASE("a tree: its link `current` is read anew each time, and is its name") {
  const TempDir dir;
  put(dir / "srv/1/app.py", "one");
  put(dir / "srv/2/app.py", "two");
  fs::create_directory_symlink("1", dir / "srv/current");
  const Store store(dir.path());
  const auto one = take(store, dir / "srv/current");
  CHECK(get(one.file + "/app.py") == "one");
  CHECK(one.file.ends_with("/current"));
  fs::remove(dir / "srv/current");
  fs::create_directory_symlink("2", dir / "srv/current");
  const auto two = take(store, dir / "srv/current");
  CHECK(get(two.file + "/app.py") == "two");
  CHECK(get(one.file + "/app.py") == "one");
  fs::remove_all(dir / "srv");
  CHECK(examine(store, {dir / "srv/current", two.id}, {}).has_value());
  REQUIRE(commit(dir / "HEAD", dir.path(), {dir / "srv/current", one.id}).has_value());
  CHECK(read_committed(dir / "HEAD", dir.path()).value().id == one.id);
}

TEST_CASE("a tree: files that have not changed are shared with the release before") {
  const TempDir dir;
  put_app(dir / "srv/app");
  const Store store(dir.path());
  const auto first = take(store, dir / "srv/app");
  put(dir / "srv/app/index.js", "console.log('two')");
  // The same bytes with another x bit are another file.
  ::chmod((dir / "srv/app/package.json").c_str(), 0755);
  // As after `git clone`: other inodes and times, the same content.
  fs::rename(dir / "srv/app/node_modules", dir / "old");
  fs::copy(dir / "old", dir / "srv/app/node_modules",
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  const auto second = take(store, dir / "srv/app");
  CHECK(second.id != first.id);
  CHECK(second.how == "2 of 5 files copied, 3 as hard links");
  CHECK(same_file(first.file + "/node_modules/dep/lib/a.js", second.file + "/node_modules/dep/lib/a.js"));
  CHECK_FALSE(same_file(first.file + "/index.js", second.file + "/index.js"));
  CHECK(mode_of(first.file + "/package.json") == 0444);
  CHECK(mode_of(second.file + "/package.json") == 0555);
  CHECK(get(first.file + "/index.js") == "console.log('one')");
  // Neither link nor removal makes the files unknown: nothing is hashed again.
  const auto unread = [&](const Store::Taken& one) {
    const auto known = KnownFiles::of(store.releases());
    for (const auto& entry : fs::recursive_directory_iterator(one.file))
      if (entry.is_regular_file() && !entry.is_symlink() &&
          known.hash_of(stamp_of(look_at(entry.path().string()))).empty())
        return false;
    return true;
  };
  CHECK(unread(first));
  CHECK(unread(second));
  REQUIRE(store.keep_only({second.id}).has_value());
  CHECK_FALSE(fs::exists(first.file));
  CHECK_FALSE(fs::exists(manifest_path(store.directory(first.id))));
  CHECK(unread(second));
  CHECK(examine(store, {dir / "srv/app", second.id}, {}).has_value());
  REQUIRE(store.keep_only({}).has_value());
  CHECK(tree(dir / "releases").size() == 1);  // .hashes
  CHECK(get(dir / "releases/.hashes").empty());
}

TEST_CASE("a tree: the same again is found, and under another name is a second one") {
  const TempDir dir;
  put_app(dir / "srv/app");
  const Store store(dir.path());
  const auto first = take(store, dir / "srv/app");
  const auto before = look_at(first.file).st_ino;
  const auto again = take(store, dir / "srv/app");
  CHECK(again.how == "already there");
  CHECK(again.id == first.id);
  CHECK(look_at(first.file).st_ino == before);
  fs::rename(dir / "srv/app", dir / "srv/web");
  const auto second = take(store, dir / "srv/web");
  CHECK(second.id == first.id);
  CHECK(second.how == "0 of 5 files copied, 5 as hard links");
  CHECK(tree(second.file) == tree(first.file));
  CHECK(mode_of(second.file) == 0555);
  CHECK(examine(store, {dir / "srv/app", first.id}, {}).has_value());
  CHECK(examine(store, {dir / "srv/web", first.id}, {}).has_value());
}

TEST_CASE("a tree: a damaged file is not shared, and is replaced when the same is taken again") {
  const TempDir dir;
  put_app(dir / "srv/app");
  const Store store(dir.path());
  const auto first = take(store, dir / "srv/app");
  const std::string victim = first.file + "/node_modules/dep/lib/a.js";
  ::chmod(victim.c_str(), 0600);
  put(victim, noise(10'000, 9));
  ::chmod(victim.c_str(), 0444);
  SUBCASE("another release") {
    put(dir / "srv/app/index.js", "console.log('two')");
    const auto second = take(store, dir / "srv/app");
    CHECK(second.how == "2 of 5 files copied, 3 as hard links");
    CHECK(tree(second.file) == tree(dir / "srv/app"));
  }
  SUBCASE("the same") {
    const auto running = UniqueFd::adopt(::open(first.file.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto again = take(store, dir / "srv/app");
    CHECK(contains(again.how, "in place of a damaged copy"));
    CHECK(tree(again.file) == tree(dir / "srv/app"));
    CHECK(mode_of(again.file) == 0555);
  }
  CHECK(examine(store, {dir / "srv/app", take(store, dir / "srv/app").id}, {}).has_value());
}

TEST_CASE("a tree: what is left out is not part of the id") {
  const TempDir dir;
  put_app(dir / "srv/app");
  put(dir / "srv/app/.liveswapignore", "*.log\n/tmp/\n");
  const Store store(dir.path());
  const auto first = take(store, dir / "srv/app");
  put(dir / "srv/app/debug.log", "x");
  put(dir / "srv/app/tmp/x", "x");
  put(dir / "srv/app/.git/index", "x");
  CHECK(identify(dir / "srv/app").value() == first.id);
  CHECK(take(store, dir / "srv/app").how == "already there");
  put(dir / "srv/app/.liveswapignore", "a/**/b\n");
  CHECK(contains(refusal(store, dir / "srv/app"), ".liveswapignore, line 1:"));
  fs::remove(dir / "srv/app/.liveswapignore");
  fs::create_symlink("index.js", dir / "srv/app/.liveswapignore");
  CHECK(contains(refusal(store, dir / "srv/app"), ".liveswapignore"));
}

TEST_CASE("a tree: a change while it is read is found") {
  const TempDir dir;
  put_app(dir / "srv/app");
  const auto changed = [&](const std::function<void()>& change) {
    auto source = SourceTree::open(dir / "srv/app", {});
    REQUIRE(source);
    REQUIRE(source->describe().has_value());
    REQUIRE(source->unchanged().has_value());
    change();
    const auto found = source->unchanged();
    CHECK_FALSE(found.has_value());
    CHECK(source->has_changed());
    return found ? "" : found.error().text;
  };
  CHECK(contains(changed([&] { put(dir / "srv/app/index.js", "CONSOLE.log('one')"); }),
                 "app/index.js was changed"));
  CHECK(contains(changed([&] { put(dir / "srv/app/new", "x"); }), "was changed while it was read"));
  CHECK(contains(changed([&] { fs::remove(dir / "srv/app/new"); }), "was changed while it was read"));
  CHECK(contains(changed([&] { ::chmod((dir / "srv/app/index.js").c_str(), 0755); }),
                 "app/index.js was changed"));
  CHECK(contains(changed([&] {
                   fs::remove(dir / "srv/app/node_modules/.bin/a");
                   fs::create_symlink("tool", dir / "srv/app/node_modules/.bin/a");
                 }),
                 "node_modules/.bin"));
}

TEST_CASE("a tree that is written to over and over is taken as one of its versions, or not at all") {
  const TempDir dir;
  for (int i = 0; i < 40; ++i) put(dir / ("srv/app/" + std::to_string(i)), "0");
  const Store store(dir.path());
  std::atomic<bool> stop{false};
  std::thread deploy([&] {
    for (int version = 1; !stop; ++version)
      for (int i = 0; i < 40; ++i) {
        put(dir / "srv/new", std::to_string(version % 10));
        fs::rename(dir / "srv/new", dir / ("srv/app/" + std::to_string(i)));
      }
  });
  std::vector<std::string> versions;  // of each taken tree, a digit for a file
  for (int i = 0; i < 5; ++i) {
    const auto taken = store.take(dir / "srv/app", {});
    if (!taken) CHECK(contains(taken.error().text, "is a build or a copy still running?"));
    std::string& digits = versions.emplace_back();
    for (int n = 0; taken && n < 40; ++n) digits += get(taken->file + "/" + std::to_string(n));
  }
  stop = true;
  deploy.join();
  for (const std::string& digits : versions) {
    CAPTURE(digits);
    if (digits.empty()) continue;
    CHECK(digits.size() == 40);
    // A version, or, in the middle of a deployment, files of the next one and then of the one before.
    const auto step = digits.find_first_not_of(digits[0]);
    if (step == std::string::npos) continue;
    CHECK((digits[step] - '0' + 1) % 10 == digits[0] - '0');
    CHECK(digits.find_first_not_of(digits[step], step) == std::string::npos);
  }
  CHECK(tree(take(store, dir / "srv/app").file) == tree(dir / "srv/app"));
}

TEST_CASE("a tree: a file that somebody writes to is not taken") {
  const TempDir dir;
  put_app(dir / "srv/app");
  const auto writer =
      UniqueFd::adopt(::open((dir / "srv/app/index.js").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  CHECK(contains(refusal(Store(dir.path()), dir / "srv/app"), "index.js is still open for writing"));
}

TEST_CASE("a tree: a group that alone may read keeps that right in the copy") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  put(dir / "srv/app/key", "x");
  put(dir / "srv/app/private/f", "x");
  REQUIRE(::chown((dir / "srv/app/key").c_str(), 0, 65534) == 0);
  REQUIRE(::chown((dir / "srv/app/private").c_str(), 0, 65534) == 0);
  ::chmod((dir / "srv/app/key").c_str(), 0640);
  ::chmod((dir / "srv/app/private").c_str(), 0750);
  const Store store(dir.path());
  const auto taken = take(store, dir / "srv/app", {true});
  CHECK(mode_of(taken.file + "/key") == 0440);
  CHECK(look_at(taken.file + "/key").st_gid == 65534);
  CHECK(mode_of(taken.file + "/private") == 0550);
  CHECK(look_at(taken.file + "/private").st_gid == 65534);
  CHECK(id_by_hand(taken.file) == taken.id);
}
