// Giving the state to a real keeper: never blocking, and in time for what cannot be taken back.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "master/keeping/keeping.hpp"
#include "protocol/keeper.hpp"
#include "test/master/test_loop.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::master;

namespace {

using Clock = std::chrono::steady_clock;

// A keeper that does not come to the point where it has started.
std::string hanging_program(const test::TempDir& dir) {
  const auto path = dir.write("hangs", "#!/bin/sh\necho $$ >" + (dir / "pid") + "\nexec sleep 300\n");
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  return path;
}

pid_t pid_in(const std::string& file) {
  pid_t pid = 0;
  std::ifstream(file) >> pid;
  return pid;
}

// The process that runs as the keeper of that directory.
pid_t keeper_of(const std::string& state_dir) {
  const std::string line = std::string("liveswap-keeper") + '\0' + state_dir + '\0';
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    std::string found;
    if (std::getline(file, found, '\n') && found == line) return std::stoi(entry.path().filename());
  }
  return 0;
}

bool is_answered(const std::string& state_dir) {
  const auto link = protocol::connect_keeper(state_dir);
  return link && *link;
}

struct Kept {
  Milliseconds wait{60'000};
  unsigned saved = 0, due = 0;
  Milliseconds effort{0};  // for one state, of the processor

  Keeping::Settings settings(const std::string& program, const std::string& state_dir) {
    return {program, state_dir, [this] { return wait; }, [this] { return save(); }, [this] { ++due; }};
  }
  std::optional<state::MasterState> save() {
    const auto until = Clock::now() + effort;
    while (Clock::now() < until) continue;
    state::MasterState state;
    state.executions = ++saved;
    return state;
  }
};

}  // namespace

TEST_CASE("a keeper that hangs at its start blocks nobody, and is killed at the end") {
  const test::TempDir dir;
  test::TestLoop loop;
  Kept kept;
  pid_t pid = 0;
  {
    Keeping keeping(loop, kept.settings(hanging_program(dir), dir.path()));
    keeping.keep();
    CHECK(keeping.is_starting());
    CHECK(loop.until([&] { return (pid = pid_in(dir / "pid")) > 0; }));
    keeping.keep_at_once();
    CHECK(keeping.link() == -1);
    CHECK(kept.saved == 0);
    keeping.end();
    CHECK_FALSE(keeping.is_starting());
  }
  REQUIRE(pid > 0);
  CHECK(::kill(pid, 0) == -1);
}

TEST_CASE("a keeper that cannot be executed is not needed to go on") {
  const test::TempDir dir;
  test::TestLoop loop;
  Kept kept;
  Keeping keeping(loop, kept.settings(dir / "missing", dir.path()));
  keeping.keep();
  CHECK_FALSE(keeping.is_starting());
  CHECK(keeping.link() == -1);
}

TEST_CASE("states that take long are paced, but not those before what cannot be taken back") {
  const test::TempDir dir;
  test::TestLoop loop;
  Kept kept;
  Keeping keeping(loop, kept.settings(KEEPER_PROGRAM, dir.path()));
  keeping.keep();
  REQUIRE(loop.until([&] { return keeping.link() >= 0; }));
  // Now there is a keeper.
  CHECK(kept.due == 1);
  kept.effort = Milliseconds{50};
  CHECK(keeping.keep());
  CHECK(kept.saved == 1);
  CHECK_FALSE(keeping.keep());
  CHECK(kept.saved == 1);
  keeping.keep_at_once();
  CHECK(kept.saved == 2);
  keeping.keep();
  CHECK(kept.saved == 2);
  REQUIRE(loop.until([&] {
    if (kept.due >= 2) keeping.keep();
    return kept.saved == 3;
  }));
  keeping.end();
  CHECK_FALSE(is_answered(dir.path()));
}

TEST_CASE("without an orphan wait the keeper leaves, and nothing waits for that") {
  const test::TempDir dir;
  test::TestLoop loop;
  Kept kept;
  Keeping keeping(loop, kept.settings(KEEPER_PROGRAM, dir.path()));
  keeping.keep();
  REQUIRE(loop.until([&] { return keeping.link() >= 0; }));
  keeping.keep();
  kept.wait = Milliseconds{0};
  keeping.keep();
  CHECK(keeping.link() == -1);
  CHECK(loop.until([&] { return !is_answered(dir.path()); }));
  // And comes back with the wait.
  kept.wait = Milliseconds{-1};
  keeping.keep();
  REQUIRE(loop.until([&] { return keeping.link() >= 0; }));
  keeping.end();
}

TEST_CASE("a keeper that was killed is replaced, whatever pause there is") {
  const test::TempDir dir;
  test::TestLoop loop;
  Kept kept;
  Keeping keeping(loop, kept.settings(KEEPER_PROGRAM, dir.path()));
  keeping.keep();
  REQUIRE(loop.until([&] { return keeping.link() >= 0; }));
  kept.effort = Milliseconds{100};
  keeping.keep();
  const pid_t keeper = keeper_of(dir.path());
  REQUIRE(keeper > 0);
  const unsigned due = kept.due;
  REQUIRE(::kill(keeper, SIGKILL) == 0);
  REQUIRE(loop.until([&] { return keeping.link() == -1; }));
  CHECK(kept.due > due);
  // The first pause is a second.
  REQUIRE(loop.until([&] {
    keeping.keep();
    return keeping.link() >= 0;
  }));
  keeping.end();
}
