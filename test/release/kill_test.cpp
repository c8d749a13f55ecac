// Processes that are killed at random times.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <random>
#include <thread>

#include "release/committed.hpp"
#include "release/family.hpp"
#include "release/sha256.hpp"
#include "release/soundness.hpp"
#include "release/store.hpp"
#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

// Runs `work` in a child in a loop, and kills the child after `time`.
void kill_after(std::chrono::microseconds time, const std::function<void(int)>& work) {
  const pid_t child = ::fork();
  if (child == 0)
    for (int i = 0;; ++i) work(i);
  std::this_thread::sleep_for(time);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace

TEST_CASE("a commit that is killed leaves a pair that was committed") {
  const TempDir dir;
  const std::string head = dir / "HEAD";
  REQUIRE(commit(head, dir.path(), {"/srv/a", std::string(64, 'a')}).has_value());
  std::mt19937 dice(1);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    kill_after(std::chrono::microseconds(500 + dice() % 8000), [&](int i) {
      const char letter = static_cast<char>('a' + i % 3);
      (void)commit(head, dir.path(), {std::string("/srv/") + letter, std::string(64, letter)});
    });
    const auto now = read_committed(head, dir.path());
    REQUIRE_MESSAGE(now.has_value(), now.error().text);
    REQUIRE(now->id == std::string(64, now->path.back()));
  }
}

TEST_CASE("a directory that is taken by a killed process is whole or not there") {
  const TempDir dir;
  for (unsigned version = 0; version < 3; ++version)
    for (unsigned i = 0; i < 40; ++i)
      put(dir / (std::to_string(version) + "/d" + std::to_string(i % 4) + "/" + std::to_string(i)),
          noise(20'000, i < 30 ? i : 100 * version + i));
  const Store store(dir.path());
  std::mt19937 dice(3);
  int left_over = 0, whole = 0;
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    // A slow machine gets more time, until one release is whole.
    const unsigned longest = 40'000U << (whole > 0 ? 0 : round / 5);
    kill_after(std::chrono::microseconds(1000 + dice() % longest), [&](int i) {
      (void)store.take(dir / std::to_string(i % 3), {});
      if (i % 4 == 3) (void)store.keep_only({});
    });
    if (!fs::exists(dir / "releases")) continue;
    for (const auto& entry : fs::directory_iterator(dir / "releases")) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(".hashes")) continue;
      if (!is_id(name)) {
        ++left_over;
        continue;
      }
      for (const auto& one : fs::directory_iterator(entry.path())) {
        if (!one.is_directory()) continue;
        const auto found = examine(store, {dir / one.path().filename().string(), name}, {}, Hashing::changed);
        REQUIRE_MESSAGE(found.has_value(), found.error().text);
        REQUIRE(found->mended.empty());
        ++whole;
      }
    }
    REQUIRE(store.keep_only({}).has_value());
  }
  CHECK(left_over > 0);
  CHECK(whole > 0);
}

TEST_CASE(
    "a release that is taken by a killed process is whole or not there, and leaves what is cleared away") {
  const TempDir dir;
  for (unsigned i = 0; i < 6; ++i) put(dir / ("srv/" + std::to_string(i) + ".so"), noise(400'000, i));
  const Store store(dir.path());
  std::mt19937 dice(2);
  int left_over = 0;
  int whole = 0;
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    const unsigned longest = 25'000U << (whole > 0 ? 0 : round / 5);  // as above
    kill_after(std::chrono::microseconds(1000 + dice() % longest),
               [&](int i) { (void)store.take(dir / ("srv/" + std::to_string(i % 6) + ".so"), {}); });
    if (!fs::exists(dir / "releases")) continue;
    for (const auto& entry : fs::directory_iterator(dir / "releases")) {
      const std::string name = entry.path().filename().string();
      if (!is_id(name)) {
        ++left_over;
        continue;
      }
      for (const auto& file : fs::directory_iterator(entry.path())) {
        REQUIRE(identify(file.path().string()).value_or("") == name);
        ++whole;
      }
    }
    REQUIRE(store.keep_only({}).has_value());
    REQUIRE(fs::is_empty(dir / "releases"));
  }
  // If one of these never happens, the times were badly chosen and the test shows nothing.
  CHECK(left_over > 0);
  CHECK(whole > 0);
}
