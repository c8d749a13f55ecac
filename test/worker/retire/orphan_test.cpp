// How a worker ends whose master has died (retire/orphan.h), by a clock of the test's own; how bytes are
// relayed (retire/relay_bytes.h); and files that the application removes at its end (retire/keep_files.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>

#include <cstdio>
#include <string>

#include "test/support/temp_dir.hpp"

extern "C" {
#include "worker/api/holds.h"
#include "worker/base/clock.h"
#include "worker/base/libc.h"
#include "worker/retire/keep_files.h"
#include "worker/retire/orphan.h"
#include "worker/retire/relay_bytes.h"
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/revoke.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

volatile sig_atomic_t terms = 0;
void on_term(int) { terms = terms + 1; }

struct Worker : UnitWorker {
  Worker() {
    REQUIRE(holds_setup());
    accept_waiters_setup();
    ::signal(SIGTERM, on_term);
  }
  UniqueFd fd = listen_inet();
  const listener* held = hold(fd);
};

enum { LIMIT_MS = 100'000, GRACE_MS = 10'000 };

}  // namespace

TEST_CASE("orphan: it drains, and one step follows the other, a grace apart") {
  const int status = status_of_child([] {
    const Worker worker;
    REQUIRE(orphan_step() == -1);
    orphan_begin(LIMIT_MS, GRACE_MS);
    REQUIRE(drain_is_on());
    const std::int64_t due = orphan_step();
    REQUIRE(due == drain_deadline());
    REQUIRE(!revoke_has_begun());
    move_clock(LIMIT_MS);
    const std::int64_t next = orphan_step();
    REQUIRE(revoke_has_begun());
    REQUIRE(next > clock_ms());
    REQUIRE(next <= clock_ms() + GRACE_MS);
    REQUIRE(orphan_step() == next);
    REQUIRE(terms == 0);
    move_clock(GRACE_MS);
    REQUIRE(orphan_step() > clock_ms());
    REQUIRE(terms == 1);
    orphan_step();
    REQUIRE(terms == 1);
    move_clock(GRACE_MS);
    orphan_step();
  });
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("orphan: without a limit it drains for as long as it takes") {
  CHECK(in_child([] {
    const Worker worker;
    orphan_begin(-1, GRACE_MS);
    REQUIRE(drain_is_on());
    move_clock(1'000'000'000);
    REQUIRE(orphan_step() == -1);
    REQUIRE(!revoke_has_begun());
  }));
}

TEST_CASE("orphan: what the master had ordered before stays") {
  CHECK(in_child([] {
    const Worker worker;
    drain_order(50);
    const std::int64_t deadline = drain_deadline();
    orphan_begin(LIMIT_MS, GRACE_MS);
    REQUIRE(drain_deadline() == deadline);
    move_clock(50);
    orphan_step();
    REQUIRE(revoke_has_begun());
  }));
}

TEST_CASE("orphan: one that hangs gets SIGTERM a grace after the limit, once, and SIGKILL a grace later") {
  const auto up_to_the_kill = [] {
    const Worker worker;
    orphan_end_hanging(0, LIMIT_MS, GRACE_MS);
    orphan_end_hanging(LIMIT_MS + GRACE_MS - 1, LIMIT_MS, GRACE_MS);
    REQUIRE(terms == 0);
    orphan_end_hanging(LIMIT_MS + GRACE_MS + 77, LIMIT_MS, GRACE_MS);
    REQUIRE(terms == 1);
    orphan_end_hanging(LIMIT_MS + 2 * GRACE_MS + 76, LIMIT_MS, GRACE_MS);
    REQUIRE(terms == 1);
  };
  CHECK(in_child(up_to_the_kill));
  const int status = status_of_child([&] {
    up_to_the_kill();
    orphan_end_hanging(LIMIT_MS + 2 * GRACE_MS + 77, LIMIT_MS, GRACE_MS);
  });
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("orphan: without a limit one that hangs is left alone") {
  CHECK(in_child([] {
    const Worker worker;
    orphan_end_hanging(INT64_MAX / 2, -1, GRACE_MS);
    REQUIRE(terms == 0);
  }));
}

namespace {

struct Pair {
  explicit Pair(int type = SOCK_STREAM) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
    mine = UniqueFd::adopt(ends[0]);
    hosts = UniqueFd::adopt(ends[1]);
  }
  void say(const std::string& text) const {
    REQUIRE(::send(mine.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  std::string hear() const {
    char bytes[4096];
    const ssize_t size = ::recv(mine.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : "";
  }
  UniqueFd mine, hosts;
};

}  // namespace

TEST_CASE("relay: all that is there, and how much it was") {
  const Pair from, to;
  std::uint64_t total = 5;
  CHECK(relay(from.hosts.get(), to.hosts.get(), &total) == RELAYED_ALL);
  CHECK(total == 5);
  from.say("one");
  from.say("two");
  CHECK(relay(from.hosts.get(), to.hosts.get(), &total) == RELAYED_ALL);
  CHECK(total == 11);
  CHECK(to.hear() == "onetwo");
}

TEST_CASE("relay: the end comes behind the last byte") {
  Pair from;
  const Pair to;
  std::uint64_t total = 0;
  from.say("last");
  from.mine.reset();
  CHECK(relay(from.hosts.get(), to.hosts.get(), &total) == RELAYED_CLOSED);
  CHECK(to.hear() == "last");
  CHECK(total == 4);
  CHECK(relay(-1, to.hosts.get(), &total) == RELAYED_CLOSED);
}

TEST_CASE("relay: what has no room stays where it is, and arrives in its order") {
  const Pair from, to;
  std::uint64_t total = 0;
  std::string said, heard;
  enum relayed result = RELAYED_ALL;
  for (int i = 0; result == RELAYED_ALL; ++i) {
    const std::string block = std::to_string(i) + std::string(10'000, '.');
    from.say(block);
    said += block;
    result = relay(from.hosts.get(), to.hosts.get(), &total);
  }
  CHECK(result == RELAYED_SOME);
  while (heard.size() < said.size()) {
    for (std::string part; !(part = to.hear()).empty();) heard += part;
    REQUIRE(relay(from.hosts.get(), to.hosts.get(), &total) != RELAYED_CLOSED);
  }
  CHECK(heard == said);
  CHECK(total == said.size());
}

TEST_CASE("relay: for nobody, or for one that is gone, bytes are discarded") {
  const Pair from;
  Pair gone;
  gone.mine.reset();
  std::uint64_t total = 0;
  for (const int to : {-1, gone.hosts.get()}) {
    from.say(std::string(100'000, 'x'));
    CHECK(relay(from.hosts.get(), to, &total) == RELAYED_ALL);
  }
  CHECK(total == 200'000);
}

namespace {

std::string path;
int looks = 0, removals = 0;
std::int64_t removed_at_look = -1;

// Each wait is as long as it was to be, and at some of them the application removes its file.
int poll_and_move(pollfd* fds, nfds_t count, int timeout) {
  if (timeout > 0) {
    move_clock(timeout);
    if (looks++ % 50 == removed_at_look && std::remove(path.c_str()) == 0) ++removals;
  }
  return ::poll(fds, count, 0);
}

struct Files : UnitWorker {
  explicit Files(bool has_spare = true) {
    path = directory / "socket";
    fd = listen_unix(path);
    hold(fd);
    if (has_spare) REQUIRE(::link(path.c_str(), (directory / ".socket.liveswap").c_str()) == 0);
    libc.poll = poll_and_move;
    removed_at_look = 10;
  }
  TempDir directory;
  UniqueFd fd;
};

}  // namespace

TEST_CASE("keep files: a file that is removed is there again, each time, and the master is told once") {
  CHECK(in_child([] {
    const Files worker;
    const std::int64_t began = clock_ms();
    keep_files();
    REQUIRE(clock_ms() - began >= 300);
    REQUIRE(removals > 2);
    REQUIRE(::access(path.c_str(), F_OK) == 0);
    const auto mended = worker.receive();
    REQUIRE(mended.has_value());
    REQUIRE(mended->kind == LIVESWAP_MENDED);
    REQUIRE(mended->text == path);
    REQUIRE(!worker.receive().has_value());
  }));
}

TEST_CASE("keep files: nothing is waited for without a file, its second link or a master") {
  CHECK(in_child([] {
    const Files worker(false);
    const std::int64_t began = clock_ms();
    keep_files();
    REQUIRE(clock_ms() - began < 300);
    REQUIRE(looks == 0);
  }));
  CHECK(in_child([] {
    Files worker;
    worker.die();
    keep_files();
    REQUIRE(looks == 0);
  }));
  CHECK(in_child([] {
    const Files worker;
    REQUIRE(std::remove(path.c_str()) == 0);
    keep_files();
    REQUIRE(looks == 0);
    REQUIRE(::access(path.c_str(), F_OK) != 0);
  }));
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd tcp = listen_inet();
    hold(tcp);
    libc.poll = poll_and_move;
    keep_files();
    REQUIRE(looks == 0);
  }));
}
