#include <doctest/doctest.h>
#include <signal.h>

#include "harness.hpp"

using namespace liveswap::test;

namespace {

// The frames of a pre-upgrade plugin.
constexpr int stages[] = {LIVESWAP_STAGE_OPEN, LIVESWAP_STAGE_LINK, LIVESWAP_STAGE_ENTRY, LIVESWAP_STAGE_ABI,
                          LIVESWAP_STAGE_START};

void answers(const std::string& value, int failed, const std::string& text) {
  CAPTURE(value);
  Worker worker = Worker::pre_upgrade(pre_upgrade_plugin(), value);
  const Frame frame = worker.expect(LIVESWAP_TASK_DONE);
  CHECK(frame.value == failed);
  CHECK(frame.text == text);
  CHECK_FALSE(worker.next());  // one answer, and that is all
  const End end = worker.wait();
  CHECK(end.exited);
  CHECK(end.number == 0);
}

}  // namespace

TEST_CASE("pre-upgrade: done during the call or later from a thread, once") {
  answers("now", 0, "/new/path");
  answers("keep", 0, "");
  answers("error", 1, "not on a Friday");
  answers("twice", 0, "/first");
  answers("thread", 0, "/from/a/thread");
  answers("long", 1, "the pre-upgrade plugin answered with a path that is too long");
}

TEST_CASE("pre-upgrade: a crash says where") {
  Worker worker = Worker::pre_upgrade(pre_upgrade_plugin(), "crash");
  for (const int stage : stages) CHECK(worker.expect(LIVESWAP_STAGED).value == stage);
  CHECK_FALSE(worker.next());
  CHECK(worker.wait().number == SIGSEGV);
}

TEST_CASE("pre-upgrade: one that never answers waits, and leaves with its master") {
  Worker worker = Worker::pre_upgrade(pre_upgrade_plugin(), "never");
  for ([[maybe_unused]] const int stage : stages) worker.expect(LIVESWAP_STAGED);
  worker.abandon();
  CHECK(worker.wait().number == LIVESWAP_EXIT_LOAD);
}

TEST_CASE("pre-upgrade: a file that is no plugin fails at its stage") {
  Worker worker = Worker::pre_upgrade(fixture("version_v1"), "");
  const Frame frame = worker.expect(LIVESWAP_FAILED);
  CHECK(frame.value == LIVESWAP_STAGE_ENTRY);
  CHECK(frame.text.find("liveswap_preupgrade") != std::string::npos);
  CHECK(worker.wait().number == LIVESWAP_EXIT_LOAD);
}
