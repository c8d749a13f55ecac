// How many connections are open (takeover/connection_count.h), in processes that the application has made too
// (takeover/descendants.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <cstring>

#include "liveswap_plugin.h"
#include "test/support/temp_dir.hpp"

extern "C" {
#include "worker/api/served.h"
#include "worker/base/clock.h"
#include "worker/takeover/connection_count.h"
#include "worker/takeover/descendants.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : UnitWorker {
  UniqueFd fd = listen_inet();
  const listener* held = hold(fd);
};

// A process that has what its parent has open, until it is ended.
struct Child {
  Child() : pid(::fork()) {
    if (pid == 0) {
      ::close(LIVESWAP_FD_CHANNEL);
      for (;;) ::pause();
    }
  }
  ~Child() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid;
};

template <typename Text>
Text text_of(const Received& frame) {
  Text text{};
  REQUIRE(frame.text.size() == sizeof text);
  std::memcpy(&text, frame.text.data(), sizeof text);
  return text;
}

}  // namespace

TEST_CASE("connection count: those that came in by a listener, by their descriptors") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd foreign = listen_inet();
    REQUIRE(connection_count() == 0);
    const Connection first(worker.fd), second(worker.fd), others(foreign);
    REQUIRE(connection_count() == 2);
    const UniqueFd copy = duplicate(first.server);
    REQUIRE(connection_count() == 3);
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    REQUIRE(connection_count() == 3);
  }));
}

TEST_CASE("connection count: answered with the master's number, and the requests so far") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    liveswap_served(0);
    liveswap_served(1);
    REQUIRE(worker.receive()->kind == LIVESWAP_SERVED);
    connection_count_answer(77);
    const auto frame = worker.receive();
    REQUIRE(frame.has_value());
    REQUIRE(frame->kind == LIVESWAP_COUNTED);
    REQUIRE(frame->value == 77);
    REQUIRE(frame->count == 1);
    REQUIRE(text_of<liveswap_served_count>(*frame).served == 2);
    REQUIRE(text_of<liveswap_served_count>(*frame).failed == 1);
  }));
}

TEST_CASE("requests: the first is announced, once, and as soon as the channel has room") {
  CHECK(in_child([] {
    const Worker worker;
    served_add(0, 0);
    REQUIRE(!worker.receive().has_value());
    int filled = 0;
    while (channel_try_send({.kind = LIVESWAP_LOG}, nullptr, 0)) ++filled;
    liveswap_served(0);
    for (int i = 0; i < filled; ++i) REQUIRE(worker.receive()->kind == LIVESWAP_LOG);
    REQUIRE(!worker.receive().has_value());
    served_add(2, 1);
    REQUIRE(worker.receive()->kind == LIVESWAP_SERVED);
    liveswap_served(1);
    REQUIRE(!worker.receive().has_value());
    REQUIRE(served_count().served == 4);
  }));
}

TEST_CASE("connection count: at the end, what there is to tell") {
  CHECK(in_child([] {
    const Worker worker;
    connection_count_last();
    REQUIRE(!worker.receive().has_value());
    liveswap_served(0);
    REQUIRE(worker.receive()->kind == LIVESWAP_SERVED);
    for (int i = 0; i < 2; ++i) connection_count_idle_ended();
    connection_count_idle_handed_off();
    connection_count_last();
    const auto counted = worker.receive(), idle = worker.receive();
    REQUIRE(idle.has_value());
    REQUIRE(counted->kind == LIVESWAP_COUNTED);
    REQUIRE(counted->value == 0);
    REQUIRE(idle->kind == LIVESWAP_IDLE);
    REQUIRE(text_of<liveswap_idle_count>(*idle).ended == 2);
    REQUIRE(text_of<liveswap_idle_count>(*idle).handed_off == 1);
  }));
}

TEST_CASE("connection count: reported when it has changed, and not all the time") {
  CHECK(in_child([] {
    const Worker worker;
    REQUIRE(connection_count_report_change() >= clock_ms() + 50);
    REQUIRE(worker.receive()->count == 0);
    connection_count_report_change();
    REQUIRE(!worker.receive().has_value());
    const Connection connection(worker.fd);
    connection_count_report_change();
    REQUIRE(worker.receive()->count == 1);
    connection_count_idle_ended();
    connection_count_report_change();
    const auto idle = worker.receive();
    REQUIRE(idle->kind == LIVESWAP_IDLE);
    REQUIRE(!worker.receive().has_value());
    connection_count_report_change();
    REQUIRE(!worker.receive().has_value());
  }));
}

TEST_CASE("connection count: none at the end, whatever the application has not closed") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    connection_count_report_change();
    REQUIRE(worker.receive()->count == 1);
    connection_count_none();
    REQUIRE(worker.receive()->count == 0);
    connection_count_report_change();
    REQUIRE(!worker.receive().has_value());
  }));
}

TEST_CASE("connection count: a report that the master has no room for is made again") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    connection_count_idle_handed_off();
    int filled = 0;
    while (channel_try_send({.kind = LIVESWAP_LOG}, std::string(1000, 'f').data(), 1000)) ++filled;
    while (channel_try_send({.kind = LIVESWAP_LOG}, nullptr, 0)) ++filled;
    connection_count_report_change();
    for (int i = 0; i < filled; ++i) REQUIRE(worker.receive()->kind == LIVESWAP_LOG);
    REQUIRE(!worker.receive().has_value());
    connection_count_report_change();
    REQUIRE(worker.receive()->kind == LIVESWAP_COUNTED);
    REQUIRE(worker.receive()->kind == LIVESWAP_IDLE);
  }));
}

TEST_CASE("descendants: none, and a child that has ended is none for long") {
  CHECK(in_child([] {
    const Worker worker;
    REQUIRE(!descendants_may_be());
    {
      const Child child;
      REQUIRE(descendants_may_be());
      REQUIRE(descendants_connections() == 0);
    }
    REQUIRE(!descendants_may_be());
  }));
}

TEST_CASE("descendants: a child has a connection that the worker has closed") {
  CHECK(in_child([] {
    const Worker worker;
    const TempDir directory;
    const UniqueFd local = listen_unix(directory / "socket"), foreign = listen_inet();
    hold(local);
    Connection tcp(worker.fd), unix_one(local), others(foreign);
    {
      const Child child;
      for (Connection* const each : {&tcp, &unix_one, &others}) each->server.reset();
      REQUIRE(descendants_connections() == 2);
      REQUIRE(connection_count() == 2);
    }
    REQUIRE(connection_count() == 0);
  }));
}

TEST_CASE(
    "descendants: the child of a child too, though its parent is gone, while the group is the worker's") {
  CHECK(in_child([] {
    REQUIRE(::setpgid(0, 0) == 0);
    const Worker worker;
    Connection connection(worker.fd);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const pid_t grandchild = ::fork();
      if (grandchild == 0)
        for (;;) ::pause();
      [[maybe_unused]] const ssize_t size = ::write(ends[1], &grandchild, sizeof grandchild);
      ::_exit(0);
    }
    pid_t grandchild = 0;
    REQUIRE(::read(ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    connection.server.reset();
    const auto count = descendants_connections();
    ::kill(grandchild, SIGKILL);
    REQUIRE(count == 1);
  }));
}

TEST_CASE("descendants: what listens, and what is over, is no connection") {
  CHECK(in_child([] {
    const Worker worker;
    const Child child;  // it has the listener itself
    REQUIRE(descendants_connections() == 0);
  }));
}
