// An application that does not drain by itself is drained from outside, to its end (retire/retire.h). Each in
// a child, which the end ends.
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <functional>

#include "liveswap_plugin.h"
#include "test/support/temp_dir.hpp"

extern "C" {
#include "worker/api/holds.h"
#include "worker/base/clock.h"
#include "worker/retire/linger.h"
#include "worker/retire/retire.h"
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/revoke.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

// Long where only the test's own clock counts, so that a busy machine makes no difference; of a TCP
// connection the kernel knows for how long it has been silent.
enum { GRACE_MS = 200, LONG_MS = 1'000'000, STILL_THERE = 77 };

const std::vector<std::uint32_t> kRetired{LIVESWAP_RETIRING, LIVESWAP_RETIRING};

struct Worker : UnitWorker {
  explicit Worker(keepalive how = KEEPALIVE_END, std::int64_t grace = GRACE_MS) {
    REQUIRE(holds_setup());
    REQUIRE(linger_setup());
    accept_waiters_setup();
    options.keepalive = how;
    options.keepalive_grace_ms = grace;
    options.term_grace_ms = LONG_MS;
    ::signal(SIGTERM, SIG_DFL);
    // The application's; this one is the control thread's.
    static std::atomic<bool> runs = false;
    std::thread([] {
      runs = true;
      for (;;) ::pause();
    }).detach();
    REQUIRE(eventually([] { return runs.load(); }));
  }
  void begin(std::int64_t limit = -1) {
    drain_order(limit);
    retire_begin(&options, true);
  }
  // As the control thread does for that long, by the clock of the test. False: it does not want to look
  // again.
  static bool look_for(std::int64_t milliseconds) {
    enum { LOOKS = 20 };
    for (int i = 0; i < LOOKS; ++i) {
      if (retire_step() < 0) return false;
      move_clock(milliseconds / LOOKS);
    }
    return true;
  }
  // … until the process ends.
  static void look_to_the_end() {
    for (int i = 0; i < 1000; ++i) look_for(GRACE_MS);
  }
  ::options options{};
  UniqueFd fd = listen_inet();
  const listener* held = hold(fd);
};

bool is_ended(const UniqueFd& fd) {
  pollfd ended{fd.get(), POLLRDHUP, 0};
  return ::poll(&ended, 1, 0) == 1 && (ended.revents & POLLRDHUP) != 0;
}

// The exit status of a worker that does this; STILL_THERE: it has not ended by itself.
int exit_of(const std::function<void()>& body) {
  const int status = status_of_child([&] {
    body();
    ::_exit(STILL_THERE);
  });
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("retire: with no connection it ends at once, with success, and the listeners go first") {
  CHECK(exit_of([] {
          Worker worker;
          REQUIRE(!retire_has_begun());
          REQUIRE(retire_step() == -1);
          worker.begin();
          REQUIRE(retire_has_begun());
          REQUIRE(revoke_has_begun());
          REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_RETIRING});
          // A connection that is just being accepted may be missed by one look: there are two.
          REQUIRE(retire_step() > 0);
          Worker::look_to_the_end();
        }) == 0);
}

TEST_CASE("retire: what stdio has in its buffers is written at the end") {
  const TempDir directory;
  const std::string path = directory / "file";
  CHECK(exit_of([&] {
          Worker worker;
          std::FILE* const file = std::fopen(path.c_str(), "w");
          REQUIRE(file != nullptr);
          std::fputs("buffered", file);
          worker.begin();
          Worker::look_to_the_end();
        }) == 0);
  char bytes[16] = "";
  const UniqueFd file = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(::read(file.get(), bytes, sizeof bytes) == 8);
}

TEST_CASE(
    "retire: an open connection is waited for, and shown its end when it is idle; closed, the worker ends") {
  CHECK(exit_of([] {
          Worker worker;
          Connection connection(worker.fd);
          worker.begin();
          REQUIRE(Worker::look_for(GRACE_MS / 2));
          REQUIRE(!is_ended(connection.server));
          REQUIRE(eventually([&] {
            REQUIRE(Worker::look_for(GRACE_MS));
            return is_ended(connection.server);
          }));
          REQUIRE(::send(connection.client.get(), "x", 1, MSG_NOSIGNAL) == 1);
          connection.server.reset();
          Worker::look_to_the_end();
        }) == 0);
}

TEST_CASE("retire: a client that waits for an answer is not sent away") {
  CHECK(exit_of([] {
          Worker worker;
          const Connection connection(worker.fd);
          REQUIRE(::send(connection.client.get(), "ask", 3, MSG_NOSIGNAL) == 3);
          worker.begin();
          REQUIRE(Worker::look_for(10 * GRACE_MS));
          char bytes[8];
          REQUIRE(::recv(connection.server.get(), bytes, sizeof bytes, 0) == 3);
          std::this_thread::sleep_for(
              std::chrono::milliseconds(GRACE_MS + 50));  // silent, by the kernel's clock
          REQUIRE(Worker::look_for(10 * GRACE_MS));
          REQUIRE(!is_ended(connection.server));
        }) == STILL_THERE);
}

TEST_CASE("retire: idle connections that shall be kept are kept") {
  CHECK(exit_of([] {
          Worker worker(KEEPALIVE_KEEP);
          const Connection connection(worker.fd);
          worker.begin();
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          REQUIRE(Worker::look_for(10 * GRACE_MS));
          REQUIRE(!is_ended(connection.server));
        }) == STILL_THERE);
}

TEST_CASE("retire: a connection by a Unix socket has two graces, and none while a byte waits") {
  CHECK(exit_of([] {
          Worker worker(KEEPALIVE_END, LONG_MS);
          const TempDir directory;
          const UniqueFd local = listen_unix(directory / "socket");
          hold(local);
          Connection quiet(local), asks(local);
          REQUIRE(::send(asks.client.get(), "ask", 3, MSG_NOSIGNAL) == 3);
          worker.begin();
          REQUIRE(Worker::look_for(LONG_MS + LONG_MS / 2));
          REQUIRE(!is_ended(quiet.server));
          REQUIRE(Worker::look_for(LONG_MS));
          REQUIRE(is_ended(quiet.server));
          REQUIRE(!is_ended(asks.server));
          // What had been sent stays readable behind the end.
          char bytes[8];
          REQUIRE(::recv(asks.server.get(), bytes, sizeof bytes, 0) == 3);
          REQUIRE(Worker::look_for(LONG_MS));
          REQUIRE(is_ended(asks.server));
        }) == STILL_THERE);
}

TEST_CASE("retire: a hold and a connection that lingers are waited for") {
  CHECK(exit_of([] {
          Worker worker;
          liveswap_hold();
          Connection connection(worker.fd);
          REQUIRE(liveswap_close_lingering(connection.server.release()) == 0);
          worker.begin();
          REQUIRE(Worker::look_for(GRACE_MS));
          liveswap_release();
          REQUIRE(Worker::look_for(GRACE_MS / 2));
          connection.client.reset();
          REQUIRE(eventually([] {
            linger_serve();
            return linger_has_none();
          }));
          Worker::look_to_the_end();
        }) == 0);
}

TEST_CASE("retire: what was handed off to this worker, and not yet accepted, goes back first") {
  CHECK(exit_of([] {
          Worker worker;
          const Connection connection(worker.fd);
          adopted_put(cookie_of(worker.fd.get()), ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200), 0);
          worker.begin();
          REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_HANDOFF, LIVESWAP_RETIRING});
        }) == STILL_THERE);
}

TEST_CASE("retire: an application that begins to drain by itself is left to that") {
  CHECK(exit_of([] {
          Worker worker;
          const Connection connection(worker.fd);
          worker.begin();
          REQUIRE(Worker::look_for(100));
          liveswap_draining();
          REQUIRE(retire_step() == -1);
          REQUIRE(worker.kinds() == kRetired);
          REQUIRE(!Worker::look_for(10 * GRACE_MS));
        }) == STILL_THERE);
}

namespace {

volatile sig_atomic_t terms = 0;
void on_term(int) { terms = terms + 1; }

}  // namespace

TEST_CASE("retire: an application that handles SIGTERM gets it, and time to end") {
  CHECK(exit_of([] {
          Worker worker;
          ::signal(SIGTERM, on_term);
          worker.begin();
          while (terms == 0) REQUIRE(Worker::look_for(20));
          REQUIRE(worker.kinds() == kRetired);
          REQUIRE(Worker::look_for(LONG_MS / 2));
          REQUIRE(terms == 1);
          move_clock(LONG_MS);
          Worker::look_to_the_end();
        }) == 0);
}

TEST_CASE("retire: it begins once") {
  CHECK(exit_of([] {
          Worker worker;
          worker.begin();
          worker.begin();
          REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_RETIRING});
        }) == STILL_THERE);
}

TEST_CASE("retire: near the drain limit a connection that is used often is idle sooner") {
  CHECK(exit_of([] {
          Worker worker;
          const Connection connection(worker.fd);
          worker.begin(2000);
          // The kernel's own clock: a few ms of silence, while 40 are left of the drain.
          move_clock(1960);
          std::this_thread::sleep_for(std::chrono::milliseconds(40));
          retire_step();
          REQUIRE(is_ended(connection.server));
        }) == STILL_THERE);
}
