#include <doctest/doctest.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "../fixtures/bad/corpus.hpp"
#include "harness.hpp"
#include "test/support/sanitized.hpp"

using namespace liveswap::test;

namespace {

// Those of a library that has no self-test.
constexpr int stages[] = {LIVESWAP_STAGE_OPEN, LIVESWAP_STAGE_LINK, LIVESWAP_STAGE_ENTRY, LIVESWAP_STAGE_ABI};

constexpr int quiet_ms = sanitized() ? 2'000 : 150;  // for what shall not happen

std::string_view word(int stage) {
  switch (stage) {
    case LIVESWAP_STAGE_OPEN: return "open";
    case LIVESWAP_STAGE_LINK: return "link";
    case LIVESWAP_STAGE_ENTRY: return "entry";
    case LIVESWAP_STAGE_ABI: return "abi";
    case LIVESWAP_STAGE_SELFTEST: return "selftest";
    default: return "?";
  }
}

struct Course {
  int stage = -1;
  bool passed = false;
  std::string text;  // of FAILED
  std::string log;
  End end;
};

// Follows a check to its end; one that hangs, until it has been quiet for a while after its first frame.
Course follow(Worker& worker, bool hangs) {
  Course course;
  while (!hangs || course.stage < 0 || readable(worker.channel(), quiet_ms)) {
    const auto frame = worker.next();
    if (!frame) break;
    CHECK_FALSE(course.passed);  // nothing comes after that
    if (frame->kind == LIVESWAP_STAGED || frame->kind == LIVESWAP_FAILED) course.stage = frame->value;
    if (frame->kind == LIVESWAP_FAILED) course.text = frame->text;
    if (frame->kind == LIVESWAP_LOG) course.log += frame->text + "\n";
    if (frame->kind == LIVESWAP_TASK_DONE) course.passed = true;
    CHECK(frame->kind != LIVESWAP_ENTERED);
  }
  if (hangs) worker.abandon();
  course.end = worker.wait();
  if (!course.end.exited) course.text += "SIG" + std::string(sigabbrev_np(course.end.number));
  if (course.end.exited && course.text.empty()) course.text = "exit";
  return course;
}

// As in /proc/PID/stat: 'R', 'S', 'T', …; 0: it is gone.
char state_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto end = text.rfind(')');
  return end == std::string::npos || end + 2 >= text.size() ? '\0' : text[end + 2];
}

}  // namespace

TEST_CASE("check: a good library passes, stage by stage, and the process ends by itself") {
  Worker worker = Worker::check(fixture("version_v1"));
  for (const int stage : stages) {
    const auto frame = worker.next();
    REQUIRE(frame);
    CHECK(frame->kind == LIVESWAP_STAGED);
    CHECK(frame->value == stage);
  }
  const auto frame = worker.next();
  REQUIRE(frame);
  CHECK(frame->kind == LIVESWAP_TASK_DONE);
  CHECK(frame->value == 0);
  // What was loaded, the library first; the host's own libraries come before it in the loader's list.
  CHECK(frame->text.find(fixture("version_v1") + "\n") == 0);
  CHECK(frame->text.find("libc.so.6") == std::string::npos);
  CHECK_FALSE(worker.next());
  const End end = worker.wait();
  CHECK(end.exited);
  CHECK(end.number == 0);
}

TEST_CASE("check: the self-test runs after the constructors, without listeners, and exit handlers after it") {
  const std::string left = "/tmp/liveswap-left-" + std::to_string(getpid());
  Worker worker = Worker::check(built(WORKER_TESTS "/libselftest.so"), {left, "word"});
  const Course course = follow(worker, false);
  CHECK(course.passed);
  CHECK(course.stage == LIVESWAP_STAGE_SELFTEST);
  CHECK(course.log == "constructor\nslot -1 generation 0 listener -1 ENOENT argc 3 word draining 0\n");
  CHECK(course.end.exited);
  CHECK(course.end.number == 0);
  std::ifstream file(left);
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == "left");
  unlink(left.c_str());
}

TEST_CASE("check: what a self-test says goes along with its failure") {
  Worker worker = Worker::check(built(FIXTURES "/bad/libselftest_fails.so"));
  const Course course = follow(worker, false);
  CHECK(course.log == "the licence has run out\n");
  CHECK(course.text.find("liveswap_selftest of /") == 0);
  CHECK(course.text.find("returned 7; expected 0") != std::string::npos);
  CHECK(course.end.number == LIVESWAP_EXIT_LOAD);
}

TEST_CASE("check: finds each bad release that is there for it, at its stage, and passes the others") {
  for (const BadRelease& bad : bad_releases) {
    if (sanitized() && sanitizer_hides(bad)) continue;
    CAPTURE(bad.name);
    Worker worker = Worker::check(FIXTURES "/" + std::string(bad.file));
    const bool preflight = bad.finder == Finder::file || bad.finder == Finder::preflight;
    const bool lingers = bad.file == "libreturn_linger.so";
    const Course course = follow(worker, (preflight && bad.says.empty()) || lingers);
    CAPTURE(course.text);
    CHECK(course.passed == !preflight);
    if (!preflight) continue;
    CHECK(word(course.stage) == bad.stage);
    CHECK(course.text.find(bad.says) != std::string::npos);
  }
}

TEST_CASE("check: an exit handler that hangs shows by a process that stays after its answer") {
  Worker worker = Worker::check(fixture("return_linger"));
  worker.expect(LIVESWAP_TASK_DONE);
  CHECK_FALSE(readable(worker.channel(), quiet_ms));
  worker.abandon();
  CHECK(worker.wait().number == LIVESWAP_EXIT_LOAD);
}

// As one that loops with all signals blocked and has ended the host's own thread.
TEST_CASE("check: a library that cannot end by itself is ended when the master has gone") {
  Worker worker = Worker::check(built(FIXTURES "/bad/libselftest_hangs.so"));
  while (worker.expect(LIVESWAP_STAGED).value != LIVESWAP_STAGE_SELFTEST) continue;
  const std::string pid = std::to_string(worker.pid());
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  pid_t library = 0;
  REQUIRE(static_cast<bool>(children >> library));
  const auto process = liveswap::UniqueFd::adopt(static_cast<int>(syscall(SYS_pidfd_open, library, 0)));
  REQUIRE(kill(library, SIGSTOP) == 0);
  // Its parent is told when all of its threads have stopped; here that shows in /proc alone.
  for (int i = 0; i < 10'000 && state_of(library) != 'T'; ++i) usleep(1000);
  REQUIRE(state_of(library) == 'T');
  worker.abandon();
  const End end = worker.wait();
  CHECK_FALSE(end.exited);
  CHECK(end.number == SIGKILL);
  CHECK(readable(process.get(), 0));
}
