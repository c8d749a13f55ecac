// Receipts of running upgrades, and the failures that receipts and answers report.
#include "master/receipts/open_receipts.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "master/report/notes.hpp"
#include "test/support/temp_dir.hpp"
#include "test_loop.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::TempDir, liveswap::test::TestLoop;
using rollout::NoteKind, rollout::Time;

namespace {

rollout::Note note(NoteKind kind, rollout::RequestId request, rollout::WorkerId worker = 0) {
  rollout::Note note;
  note.kind = kind;
  note.request = request;
  note.worker = worker;
  return note;
}

struct World {
  TempDir dir;
  TestLoop loop;
  Listeners listeners = std::move(*Listeners::open({}, ListenMode::shared, 64, 1));
  AppListeners app_listeners{listeners, {}, [](auto, auto, auto, const Extras&) { return true; }};
  WorkerPool pool{loop, {}, listeners, app_listeners, {}};
  rollout::Engine engine{rollout::Settings{}};
  OpenRequests requests;
  Failures failures;
  KnownRuntimes runtimes;
  OpenReceipts receipts{
      loop, release::History(dir / ""), {engine, pool, listeners, requests, failures, runtimes, "/app.so"}};

  protocol::Json read(std::uint64_t number) const {
    std::ifstream file(dir / "history/" + std::to_string(number) + ".json");
    REQUIRE(file.good());
    return protocol::Json::parse(file);
  }
};

}  // namespace

TEST_CASE("an application that writes beside its code is told where to write") {
  const std::string releases = "/state/releases/";
  for (const std::string line : {"PermissionError: [Errno 13] Permission denied: '/state/releases/ab/app/x'",
                                 "Error: EACCES: permission denied, open '/state/releases/ab/app/x'",
                                 "open /state/releases/ab/app/x: permission denied",
                                 "first\nopen(/state/releases/ab/app/x): Read-only file system\nlast"})
    CHECK(advice_on(line, releases).find("working directory") != std::string::npos);
  for (const std::string line :
       {"", "\n\n", "Permission denied: '/etc/shadow'", "started /state/releases/ab/app",
        "Permission denied\n/state/releases/ab/app/x\n"})
    CHECK(advice_on(line, releases).empty());
}

TEST_CASE("open receipts: the runtime of a script stands in its receipt") {
  World world;
  world.runtimes.note("0123", {{"path", "/usr/bin/node"}, {"version", "v20"}, {"sha256", "ab"}, {"more", 1}});
  world.receipts.add(note(NoteKind::preparing, 0));
  auto started = note(NoteKind::started, 0);
  started.release = {"/app.js", "0123"};
  started.generation = 1;
  world.receipts.add(started);
  const auto [number, text] = world.receipts.close(0, rollout::Verdict::ok, "it serves");
  CHECK(world.read(number)["to"]["runtime"] ==
        protocol::Json({{"path", "/usr/bin/node"}, {"version", "v20"}, {"sha256", "ab"}}));
}

TEST_CASE("open receipts: that of a start has its target, its phases and how it failed") {
  World world;
  world.receipts.add(note(NoteKind::preparing, 0));
  REQUIRE(world.receipts.find(0));
  auto started = note(NoteKind::started, 0);
  started.release = {"/app.so", "0123"};
  started.generation = 1;
  world.receipts.add(started);
  world.receipts.add(note(NoteKind::spawned, 0, 1));
  world.failures.add({0, "slot 0: it crashed", "segmentation fault\n", 0, 1, 42, Time{0}});
  auto failed = note(NoteKind::failed, 0, 1);
  failed.text = "slot 0: it crashed";
  world.receipts.add(failed);
  const auto [number, text] = world.receipts.close(0, rollout::Verdict::failed, "nothing runs");
  CHECK(number == 1);
  CHECK(text == "nothing runs");
  CHECK_FALSE(world.receipts.find(0));
  CHECK_FALSE(world.receipts.last_upgrade());  // a start is no upgrade
  const auto receipt = world.read(number);
  CHECK(receipt["kind"] == "start");
  CHECK(receipt["asked"]["value"] == "/app.so");
  CHECK(receipt["to"]["id"] == "0123");
  CHECK(receipt["outcome"] == "failed");
  CHECK(receipt["phases"].size() == 2);
  CHECK(receipt.dump().find("segmentation fault") != std::string::npos);
}

TEST_CASE("open receipts: that of an upgrade names its client, and only while its request is open") {
  World world;
  world.receipts.add(note(NoteKind::preparing, 9));
  CHECK_FALSE(world.receipts.find(9));
  const auto request =
      world.requests.open({0, protocol::Verb::rollback, false, "/b.so", "uid 7, pid 8", Time{0}});
  world.receipts.add(note(NoteKind::draining, request));
  CHECK_FALSE(world.receipts.find(request));  // this note begins no receipt
  world.receipts.add(note(NoteKind::preparing, request));
  REQUIRE(world.receipts.find(request));
  CHECK(world.receipts.close(request, rollout::Verdict::reverted, "it was bad").number == 1);
  CHECK(world.receipts.close(request, rollout::Verdict::reverted, "it was bad").number == 0);
  REQUIRE(world.receipts.last_upgrade());
  CHECK(world.receipts.last_upgrade()->verdict == rollout::Verdict::reverted);
  CHECK(world.receipts.last_upgrade()->receipt == 1);
  const auto receipt = world.read(1);
  CHECK(receipt["kind"] == "rollback");
  CHECK(receipt["asked"]["by"] == "uid 7, pid 8");
  CHECK(receipt["to"]["path"] == "/b.so");
}

TEST_CASE("open receipts: what never began has no plan") {
  World world;
  const auto request = world.requests.open({0, protocol::Verb::upgrade, false, "/b.so", "somebody", Time{0}});
  world.receipts.add(note(NoteKind::preparing, request));
  world.receipts.close(request, rollout::Verdict::refused, "the file is none");
  std::ifstream file(world.dir / "history/1.refused.json");
  const auto receipt = protocol::Json::parse(file);
  CHECK(receipt["to"].is_null());
  CHECK(receipt["plan"].is_null());
}

TEST_CASE("notes: each event has the word of the protocol, and its members") {
  World world;
  const Notes notes(world.engine, world.pool, world.failures, [](const std::string&) {});
  const std::pair<NoteKind, const char*> words[] = {
      {NoteKind::preparing, "preparing"}, {NoteKind::started, "started"},
      {NoteKind::spawned, "spawned"},     {NoteKind::ready, "ready"},
      {NoteKind::draining, "draining"},   {NoteKind::forced, "forced"},
      {NoteKind::gone, "gone"},           {NoteKind::failed, "failed"},
      {NoteKind::committed, "committed"}, {NoteKind::reverting, "reverting"},
      {NoteKind::waiting, "waiting"},     {NoteKind::queued, "queued"},
      {NoteKind::baking, "baking"},       {NoteKind::flipping, "flipping"},
      {NoteKind::flipped, "flipped"},     {NoteKind::probation, "probation"},
      {NoteKind::leaving, "leaving"},     {NoteKind::dropped, "dropped"}};
  for (const auto& [kind, word] : words)
    CHECK(protocol::Json::parse(notes.event(note(kind, 7)))["event"] == word);
  auto gone = note(NoteKind::gone, 7, 1);
  gone.parting = rollout::Parting::forced;
  gone.slot = 3;
  const auto event = protocol::Json::parse(notes.event(gone));
  CHECK(event["end"] == "forced");
  CHECK(event["slot"] == 3);
  rollout::Engine::Worker worker;
  worker.state = rollout::WorkerState::draining;
  CHECK(std::string(word(worker)) == "draining");
  worker.stopped_since = Time{1};
  CHECK(std::string(word(worker)) == "stopped");
}

TEST_CASE("failures: the output stands below the reason that names the failure of the same request") {
  Failures failures;
  failures.add({7, "slot 0, stage start: exit status 3", "cannot open the database", 0, 2, 42, Time{5}});
  const std::string reason = "reverted: slot 0, stage start: exit status 3";
  CHECK(failures.with_output_of(7, reason).find("cannot open the database") != std::string::npos);
  CHECK(failures.with_output_of(8, reason) == reason);
  CHECK(failures.with_output_of(7, "aborted") == "aborted");
  REQUIRE(failures.last_of(0));
  CHECK(failures.last_of(0)->pid == 42);
  CHECK_FALSE(failures.last_of(1));
}

TEST_CASE("failures: a crash loop takes no more memory than its last failures") {
  Failures failures;
  for (unsigned i = 0; i <= Failures::limit; ++i)
    failures.add({1, "failure <" + std::to_string(i) + ">", "said", 0, 1, 1, Time{0}});
  CHECK(failures.with_output_of(1, "failure <0>") == "failure <0>");
  CHECK(failures.with_output_of(1, "failure <1>") != "failure <1>");
}

TEST_CASE("open receipts: the next master writes those that the killed one has not written") {
  World world;
  const auto request = world.requests.open({0, protocol::Verb::upgrade, false, "/b.so", "uid 7", Time{0}});
  world.receipts.add(note(NoteKind::preparing, request));
  const auto kept = world.receipts.save();
  REQUIRE(kept.contains(request));
  OpenReceipts next{
      world.loop,
      release::History(world.dir / ""),
      {world.engine, world.pool, world.listeners, world.requests, world.failures, world.runtimes, "/app.so"}};
  SUBCASE("under the number that was reserved") {
    next.adopt(request, kept.at(request));
    next.add(note(NoteKind::preparing, 0));
    CHECK(next.close(0, rollout::Verdict::ok, "").number == 2);
    CHECK(next.close(request, rollout::Verdict::reverted, "the master was killed").number == 1);
    CHECK(world.read(1)["reason"] == "the master was killed");
  }
  SUBCASE("and leaves what is written") {
    CHECK(world.receipts.close(request, rollout::Verdict::reverted, "it was bad").number == 1);
    next.adopt(request, kept.at(request));
    CHECK(next.close(request, rollout::Verdict::reverted, "the master was killed").number == 1);
    CHECK(world.read(1)["reason"] == "it was bad");
    REQUIRE(next.last_upgrade());
    CHECK(next.last_upgrade()->receipt == 1);
    next.add(note(NoteKind::preparing, 0));
    CHECK(next.close(0, rollout::Verdict::ok, "").number == 2);
  }
}
