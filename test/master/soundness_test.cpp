// Whether stored bytes are those that were committed: liveswap-store examines them for the master.
#include "master/releases/soundness.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "master/releases/sound_start.hpp"
#include "master/releases/store_tasks.hpp"
#include "release/sha256.hpp"
#include "release/tree/known_files.hpp"
#include "test/support/temp_dir.hpp"
#include "test_loop.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::TempDir, liveswap::test::TestLoop;
namespace fs = std::filesystem;
using Kind = rollout::Examined::Kind;

namespace {

spawn::Request program(const std::string& path) {
  spawn::Request request;
  request.program = path;
  request.arguments = {"liveswap-store"};
  request.descriptors = {-1, -1, STDERR_FILENO, -1};
  return request;
}

Options options_for(const TempDir& dir) {
  Options options;
  options.state_dir = dir / "state";
  options.check_limit = Milliseconds{60'000};
  options.keep_releases = 2;
  fs::create_directories(options.state_dir);
  return options;
}

struct World {
  TempDir dir;
  TestLoop loop;
  Options options = options_for(dir);
  spawn::Request store = program(STORE_PROGRAM);
  rollout::Engine engine{rollout::Settings{}};
  release::CommittedReleases committed;
  rollout::FallBack fall_back;
  KnownRuntimes runtimes;
  Soundness soundness{loop, store, options, engine, committed, fall_back, runtimes};

  // Takes a library into the store, with a content that differs for each name.
  rollout::Release take(const std::string& name) const {
    const std::string path = dir / name;
    fs::copy_file(CHANNEL_LENDER, path);
    std::ofstream(path, std::ios::app) << name;
    const auto taken = release::Store(options.state_dir).take(path, {});
    REQUIRE(taken.has_value());
    return {path, taken->id};
  }
  // Damages the stored file, and the file that it was copied from, from which it would be mended.
  void damage(const rollout::Release& release) const {
    const auto file = soundness.file_of(release);
    fs::permissions(file, fs::perms::owner_all);
    std::ofstream(file, std::ios::app) << "damaged";
    fs::remove(release.path);
  }
  rollout::Examined examine(const rollout::Release& release, bool substitute) {
    std::optional<rollout::Examined> found;
    soundness.examine(release, substitute, [&](const rollout::Examined& one) { found = one; });
    REQUIRE(loop.until([&] { return found.has_value(); }));
    return *found;
  }
};

}  // namespace

TEST_CASE("soundness: a release is sealed once it has been hashed, until its files are touched") {
  World world;
  const auto release = world.take("a.so");
  CHECK_FALSE(world.soundness.is_sealed(release));
  CHECK(world.examine(release, true).kind == Kind::sound);
  CHECK(world.soundness.is_sealed(release));
  CHECK(world.soundness.trouble_of(release) == "");
  world.soundness.keep_only({});
  CHECK_FALSE(world.soundness.is_sealed(release));
  CHECK(world.examine(release, true).kind == Kind::sound);
  ::chmod(world.soundness.file_of(release).c_str(), 0400);
  CHECK_FALSE(world.soundness.is_sealed(release));
}

TEST_CASE("soundness: a directory is looked at before each worker, and hashed once") {
  World world;
  fs::create_directories(world.dir / "app");
  std::ofstream(world.dir / "app/index.js") << "one";
  const auto taken = release::Store(world.options.state_dir).take(world.dir / "app", {}).value();
  const rollout::Release release{world.dir / "app", taken.id};
  world.soundness.note_seal(release, taken.seal);
  CHECK_FALSE(world.soundness.is_sealed(release));
  CHECK(world.examine(release, false).kind == Kind::sound);
  // `changed` trusts what is known of the file; a release in doubt is read whole.
  const std::string file = world.soundness.file_of(release) + "/index.js";
  fs::permissions(file, fs::perms{0644});
  std::ofstream(file) << "two";
  fs::permissions(file, fs::perms{0444});
  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  auto known = release::KnownFiles::of(world.options.state_dir + "/releases");
  known.add(release::stamp_of(info), release::sha256_of("one"));
  known.keep_for(world.options.state_dir + "/releases");
  fs::remove_all(world.dir / "app");
  CHECK(world.examine(release, false).kind == Kind::sound);
  world.soundness.doubt(release);
  CHECK(world.examine(release, false).kind == Kind::differs);
}

TEST_CASE("soundness: a release that is in doubt is read whole before it runs again") {
  World world;
  const auto release = world.take("a.so");
  CHECK(world.examine(release, true).kind == Kind::sound);
  world.soundness.doubt(release);
  CHECK_FALSE(world.soundness.is_sealed(release));
  CHECK(world.examine(release, true).kind == Kind::sound);
  CHECK(world.soundness.is_sealed(release));
  world.soundness.doubt(release);
  world.damage(release);
  CHECK(world.examine(release, false).kind == Kind::differs);
}

TEST_CASE("soundness: for bytes that differ, the nearest sound release is found") {
  World world;
  const auto first = world.take("a.so"), second = world.take("b.so"), third = world.take("c.so");
  for (const auto& one : {first, second, third}) world.committed.add({one.path, one.id}, "");
  world.damage(third);
  auto found = world.examine(third, true);
  CHECK(found.kind == Kind::differs);
  CHECK_FALSE(found.unsure);
  REQUIRE(found.earlier);
  CHECK(*found.earlier == second);
  CHECK(world.soundness.is_sealed(second));
  CHECK(world.soundness.trouble_of(third) == found.text);

  world.damage(second);
  found = world.examine(third, true);
  REQUIRE(found.earlier);
  CHECK(*found.earlier == first);
  world.damage(first);
  found = world.examine(third, true);
  CHECK_FALSE(found.earlier);
  CHECK_FALSE(found.unsure);
}

TEST_CASE("soundness: without a substitute wanted, whether there is one stays open") {
  World world;
  const auto first = world.take("a.so"), second = world.take("b.so");
  world.committed.add({first.path, first.id}, "");
  world.damage(second);
  const auto found = world.examine(second, false);
  CHECK(found.kind == Kind::differs);
  CHECK(found.unsure);
  CHECK_FALSE(found.earlier);
}

TEST_CASE("soundness: a store program that cannot run says nothing of the bytes") {
  World world;
  const auto release = world.take("a.so");
  world.store = program(world.dir / "none");
  const auto found = world.examine(release, true);
  CHECK(found.kind == Kind::unknown);
  CHECK(found.text.find("could not be hashed now") != std::string::npos);
  CHECK(world.soundness.trouble_of(release) == "");
}

TEST_CASE("sound start: the committed release, or the one before it, and again after a failure") {
  World world;
  const auto first = world.take("a.so"), second = world.take("b.so");
  world.committed.add({first.path, first.id}, "");
  std::vector<std::optional<SoundStart::Found>> found;
  SoundStart start(world.loop, world.soundness, world.engine, [&](const auto& one) { found.push_back(one); });
  world.store = program(world.dir / "none");
  start.find(second);
  REQUIRE(world.loop.until([&] { return world.soundness.is_idle() && world.loop.has_timer(); }));
  CHECK(found.empty());
  world.store = program(STORE_PROGRAM);
  REQUIRE(world.loop.until([&] { return found.size() == 1; }));
  REQUIRE(found[0]);
  CHECK(found[0]->as_committed);
  CHECK(std::get<rollout::Start>(found[0]->choice).release == second);
  world.damage(second);
  start.find(second);
  REQUIRE(world.loop.until([&] { return found.size() == 2; }));
  CHECK_FALSE(found[1]->as_committed);
  CHECK(std::get<rollout::Start>(found[1]->choice).release == first);
}

TEST_CASE("store tasks: a file at the committed path that is another one is noticed") {
  World world;
  StoreTasks tasks(world.loop, world.store, world.options);
  const auto release = world.take("a.so");
  std::vector<std::string> told;
  const auto compared = [&](const std::string& difference) { told.push_back(difference); };
  tasks.compare(release, compared);
  CHECK(tasks.is_comparing());
  REQUIRE(world.loop.until([&] { return told.size() == 1; }));
  CHECK(told[0] == "");
  std::ofstream(release.path, std::ios::app) << "built anew";
  tasks.compare(release, compared);
  REQUIRE(world.loop.until([&] { return told.size() == 2; }));
  CHECK(told[1].find("is another one (rebuilt since)") != std::string::npos);
  CHECK(tasks.difference() == told[1]);
}

TEST_CASE("store tasks: releases that are not to be kept are removed") {
  World world;
  const auto kept = world.take("a.so"), old = world.take("b.so");
  StoreTasks tasks(world.loop, world.store, world.options);
  tasks.collect({kept.id}, 0);
  CHECK(world.loop.until([&] { return !fs::exists(world.soundness.file_of(old)); }));
  CHECK(fs::exists(world.soundness.file_of(kept)));
}
