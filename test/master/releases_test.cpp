// Whether the committed release is recorded, and workers that wait until their release has been examined.
#include <filesystem>
#include <fstream>

#include "master/releases/commit_record.hpp"
#include "master/releases/unspawned_workers.hpp"
#include "release/committed.hpp"
#include "test/support/temp_dir.hpp"
#include "test_loop.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::TempDir, liveswap::test::TestLoop;

namespace {

rollout::Release named(const std::string& id) { return {"/srv/" + id + ".so", id}; }

}  // namespace

TEST_CASE("unspawned workers: one examination for all that wait for a file") {
  UnspawnedWorkers waiting;
  CHECK(waiting.add("file", {1, 0, 1, named("a"), false}));
  CHECK_FALSE(waiting.add("file", {2, 1, 1, named("a"), false}));
  CHECK(waiting.add("other", {3, 1, 1, named("b"), false}));
  rollout::Note note;
  note.worker = 2;
  waiting.keep(note);
  waiting.remove(1);
  const auto found = waiting.take("file");
  REQUIRE(found.size() == 1);
  CHECK(found[0].order.worker == 2);
  CHECK(found[0].note.has_value());
  CHECK(waiting.add("file", {4, 0, 1, named("a"), false}));
}

TEST_CASE("unspawned workers: a file whose workers have all gone is still being examined") {
  UnspawnedWorkers waiting;
  waiting.add("file", {1, 0, 1, named("a"), false});
  waiting.remove(1);
  CHECK_FALSE(waiting.add("file", {2, 0, 1, named("a"), false}));
  CHECK(waiting.take("file").size() == 1);
  CHECK(waiting.take("file").empty());
}

TEST_CASE("commit record: what cannot be written is tried again until it can") {
  const TempDir dir;
  TestLoop loop;
  rollout::Engine engine{rollout::Settings{}};
  rollout::UpgradeRequest request;
  request.path = "/srv/a.so";
  request.release = rollout::Release{"/srv/a.so", std::string(64, 'a')};
  engine.boot(rollout::Time{0}, request);
  for (const rollout::WorkerId worker : {1, 2}) {
    engine.entered(rollout::Time{0}, worker, false);
    engine.ready(rollout::Time{0}, worker);
  }
  engine.committed(rollout::Time{0});
  REQUIRE(engine.release() == *request.release);

  const std::string head = dir / "heads/HEAD";
  CommitRecord record(loop, engine, head, dir / "state");
  const auto written = record.write(engine.release());
  REQUIRE_FALSE(written.has_value());
  CHECK(record.write_at_last() == "");  // no record is left to write
  record.write_later(written.error().text);
  CHECK(record.trouble() == written.error().text);
  CHECK(record.write_at_last().find("the next start begins with the release before /srv/a.so") == 0);
  std::filesystem::create_directories(dir / "heads");
  std::filesystem::create_directories(dir / "state");
  REQUIRE(loop.until([&] { return record.trouble().empty(); }));
  const auto committed = release::read_committed(head, dir / "state");
  REQUIRE(committed.has_value());
  CHECK(committed->id == engine.release().id);
  CHECK_FALSE(loop.has_timer());
}
