// What a worker does when its master has died.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>

#include "harness.hpp"

using namespace liveswap::test;

namespace {

Worker::Settings orphaned(const std::string& path, int listener, std::int64_t limit_ms,
                          std::int64_t grace_ms) {
  return {.path = path,
          .listeners = {listener},
          .names = "0",
          .drain_limit_ms = limit_ms,
          .term_grace_ms = grace_ms};
}

}  // namespace

TEST_CASE("orphan: an application that drains leaves with 0") {
  const auto listener = listen_tcp();
  Worker worker = Worker::start(orphaned(fixture("version_v1"), listener.get(), -1, 1000));
  worker.expect(LIVESWAP_ENTERED);
  worker.abandon();
  const End end = worker.wait();
  CHECK(end.exited);
  CHECK(end.number == 0);
}

TEST_CASE("orphan: one that does not is ended by SIGTERM, one grace after the limit") {
  const auto listener = listen_tcp();
  Worker worker = Worker::start(orphaned(fixture("ignores_drain"), listener.get(), 100, 100));
  worker.expect(LIVESWAP_ENTERED);
  const auto began = std::chrono::steady_clock::now();
  worker.abandon();
  const End end = worker.wait();
  CHECK_FALSE(end.exited);
  CHECK(end.number == SIGTERM);
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(195));
}

TEST_CASE("orphan: one that ignores that too is ended by SIGKILL") {
  const auto listener = listen_tcp();
  Worker worker = Worker::start(orphaned(fixture("ignores_term"), listener.get(), 50, 50));
  worker.expect(LIVESWAP_ENTERED);
  CHECK(get(listener.get()).find("Hello World") != std::string::npos);  // it ignores SIGTERM by now
  worker.abandon();
  const End end = worker.wait();
  CHECK_FALSE(end.exited);
  CHECK(end.number == SIGKILL);
}

TEST_CASE("orphan: its listeners are taken away before it is forced") {
  const auto listener = listen_tcp();
  Worker worker = Worker::start(orphaned(fixture("ignores_drain"), listener.get(), 1, 600'000));
  worker.expect(LIVESWAP_ENTERED);
  worker.abandon();
  // Until the placeholder is there the old one may still answer.
  Worker successor = Worker::start(orphaned(fixture("version_v3"), listener.get(), -1, 1000));
  successor.expect(LIVESWAP_ENTERED);
  int row = 0;
  for (int i = 0; i < 10'000 && row < 50; ++i) {
    row = get(listener.get()).find("X-Version: v3") != std::string::npos ? row + 1 : 0;
  }
  CHECK(row == 50);
}

TEST_CASE("orphan: an order to drain that the master gave keeps its limit") {
  const auto listener = listen_tcp();
  Worker worker = Worker::start(orphaned(fixture("ignores_drain"), listener.get(), 600'000, 20));
  worker.expect(LIVESWAP_ENTERED);
  worker.send(LIVESWAP_DRAIN, 20);
  worker.expect(LIVESWAP_COUNTED);
  worker.abandon();
  CHECK(worker.wait().number == SIGTERM);
}
