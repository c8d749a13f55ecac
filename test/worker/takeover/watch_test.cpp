// What the control thread looks for from outside: listeners that no call has shown to be waited for
// (takeover/readiness_watch.h), and those that were bound unseen (takeover/unseen_listeners.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "liveswap_plugin.h"
#include "test/support/temp_dir.hpp"

extern "C" {
#include "worker/api/readiness.h"
#include "worker/base/clock.h"
#include "worker/base/options.h"
#include "worker/takeover/readiness_watch.h"
#include "worker/takeover/unseen_listeners.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

enum { STEP_MS = 20 };

struct Worker : UnitWorker {
  // The listeners of which has been told that they are waited for.
  std::vector<std::uint64_t> waited() const {
    std::vector<std::uint64_t> all;
    while (const auto frame = receive()) {
      std::uint64_t cookie = 0;
      if (frame->kind != LIVESWAP_WAITS) continue;
      std::memcpy(&cookie, frame->text.data(), sizeof cookie);
      all.push_back(cookie);
    }
    return all;
  }
  // Text of the one frame of that kind.
  std::string said(std::uint32_t kind) const {
    std::string text;
    while (const auto frame = receive())
      if (frame->kind == kind) text += frame->text;
    return text;
  }
};

std::int64_t look_after(std::int64_t milliseconds) {
  move_clock(milliseconds);
  return readiness_watch_step();
}

// What a worker that has those sockets says when it ends; nothing when it goes on.
std::string refusal(intercept how = INTERCEPT_LIBC) {
  std::string text;
  MasterEnd master;
  const int status = status_of_child([&] {
    REQUIRE(master.adopt());
    REQUIRE(proc_self_setup());
    ::options options{};
    options.intercept = how;
    unseen_listeners_watch(&options);
    for (int i = 0; i < 3; ++i) {
      unseen_listeners_step();
      move_clock(STEP_MS);
    }
  });
  const auto frame = master.receive();
  if (!frame.has_value()) {
    CHECK(status == 0);
    return "";
  }
  CHECK(WEXITSTATUS(status) == LIVESWAP_EXIT_LOAD);
  CHECK(frame->kind == LIVESWAP_FAILED);
  CHECK(frame->value == LIVESWAP_STAGE_START);
  return frame->text;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE(
    "readiness watch: not before the application is entered, nor for one that says itself when it is ready") {
  CHECK(in_child([] {
    const Worker worker;
    REQUIRE(readiness_watch_step() == -1);
    readiness_enter(true);
    REQUIRE(readiness_watch_step() == -1);
  }));
}

TEST_CASE("readiness watch: a listener in an epoll is waited for, however it came there") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd fd = listen_inet(), epoll = make_epoll();
    hold(fd);
    readiness_enter(false);
    REQUIRE(readiness_watch_step() > 0);
    REQUIRE(worker.waited().empty());
    watch(epoll, fd.get(), 1);
    REQUIRE(look_after(STEP_MS) == -1);
    REQUIRE(worker.waited() == std::vector{cookie_of(fd.get())});
    REQUIRE(readiness_is_shown());
  }));
}

TEST_CASE("readiness watch: that a listener listens shows nothing, where every wait is seen") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd fd = listen_inet();
    hold(fd);
    readiness_await();
    readiness_enter(false);
    for (int i = 0; i < 100; ++i) REQUIRE(look_after(STEP_MS) > 0);
    REQUIRE(worker.waited().empty());
  }));
}

TEST_CASE("readiness watch: where not every wait can be seen, listening for 100 ms is enough") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd fd = listen_inet();
    hold(fd);
    options_set_seccomp(true);
    readiness_enter(false);
    readiness_watch_step();
    REQUIRE(look_after(60) > 0);
    REQUIRE(worker.waited().empty());
    look_after(60);
    REQUIRE(worker.waited() == std::vector{cookie_of(fd.get())});
  }));
}

TEST_CASE("readiness watch: from a socket for datagrams one may receive without waiting") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd fd = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM);
    hold(fd);
    readiness_enter(false);
    readiness_watch_step();
    look_after(500);
    REQUIRE(worker.waited().empty());
    look_after(600);
    REQUIRE(worker.waited() == std::vector{cookie_of(fd.get())});
  }));
}

TEST_CASE("readiness watch: a thread that receives from it waits") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd fd = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM);
    const listener* const held = hold(fd);
    readiness_enter(false);
    std::thread reader([&] {
      char byte;
      [[maybe_unused]] const ssize_t size = ::recv(fd.get(), &byte, 1, 0);
    });
    const bool is_seen = eventually([&] {
      readiness_watch_step();
      return held->is_read;
    });
    look_after(150);
    const auto waited = worker.waited();
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    REQUIRE(::sendto(fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 1);
    reader.join();
    REQUIRE(is_seen);
    REQUIRE(waited == std::vector{cookie_of(fd.get())});
  }));
}

TEST_CASE(
    "readiness watch: a listener that stays the application's own is, when it has listened for 100 ms") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd own = listen_inet();
    fd_flags_set(own.get(), FLAG_OWN);
    readiness_await();
    readiness_enter(false);
    readiness_watch_step();
    look_after(60);
    REQUIRE(worker.waited().empty());
    look_after(60);
    REQUIRE(worker.waited() == std::vector{cookie_of(own.get())});
    look_after(200);
    REQUIRE(worker.waited().empty());
  }));
}

TEST_CASE("readiness watch: after 5 s it says what is missing, once") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd fd = listen_inet();
    hold(fd);
    readiness_await();
    readiness_enter(false);
    readiness_watch_step();
    look_after(4900);
    REQUIRE(worker.said(LIVESWAP_LOG).empty());
    look_after(200);
    REQUIRE(has(worker.said(LIVESWAP_LOG), "liveswap_ready()"));
    look_after(5000);
    REQUIRE(worker.said(LIVESWAP_LOG).empty());
  }));
}

TEST_CASE("readiness watch: an application with none but lent listeners is looked at for 5 s") {
  CHECK(in_child([] {
    const Worker worker;
    readiness_enter(false);
    REQUIRE(readiness_watch_step() > 0);
    REQUIRE(look_after(4900) > 0);
    REQUIRE(look_after(200) == -1);
  }));
}

TEST_CASE(
    "unseen listeners: what was bound by no call of libc's ends the worker, which says where it listens") {
  CHECK(in_child([] {
    const UnitWorker worker;
    REQUIRE(refusal().empty());
    UniqueFd fd = listen_inet();
    const std::string port = std::to_string(port_of(fd));
    REQUIRE(has(refusal(), "the application listens at 127.0.0.1:" + port));
    REQUIRE(has(refusal(), "--intercept seccomp"));
    REQUIRE(has(refusal(INTERCEPT_SECCOMP), "has not seen its bind()"));
    fd.reset();
    const TempDir directory;
    const std::string name = "@liveswap-units-" + std::to_string(::getpid());
    {
      const UniqueFd local = listen_unix(directory / "socket");
      REQUIRE(has(refusal(), "the application listens at " + (directory / "socket")));
    }
    {
      const UniqueFd abstract = listen_unix(name);
      REQUIRE(has(refusal(), "the application listens at " + name));
    }
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6, address.sin6_addr = in6addr_loopback;
    if (::access("/proc/net/if_inet6", F_OK) != 0) return;
    const UniqueFd six = listen_on(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    REQUIRE(has(refusal(), "the application listens at [::1]:"));
  }));
}

TEST_CASE("unseen listeners: what the host knows of, what does not listen and what has no address is none") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd own = listen_inet(), known = listen_inet(), hosts = listen_inet(), seized = listen_inet(),
                   datagrams = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM),
                   bound = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const UniqueFd nameless = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un any{};
    any.sun_family = AF_UNIX;
    // The kernel chooses a name, as for what processes use among themselves.
    REQUIRE(::bind(nameless.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any.sun_family) == 0);
    REQUIRE(::listen(nameless.get(), 1) == 0);
    hold(known);
    fd_flags_set(own.get(), FLAG_OWN);
    fd_flags_set(hosts.get(), FLAG_HOST);
    fd_flags_set(seized.get(), FLAG_REVOKED);
    REQUIRE(refusal().empty());
  }));
}

TEST_CASE("unseen listeners: not while it is ready, drains, is a minute old or was lent listeners") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd fd = listen_inet();
    ::options options{};
    REQUIRE(unseen_listeners_step() == -1);  // not before it is watched
    unseen_listeners_watch(&options);
    REQUIRE(in_child([] {
      drain_order(1000);
      REQUIRE(unseen_listeners_step() == -1);
    }));
    REQUIRE(in_child([] {
      liveswap_ready();
      REQUIRE(unseen_listeners_step() == -1);
    }));
    move_clock(61'000);
    REQUIRE(unseen_listeners_step() == -1);
  }));
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd lent = listen_inet();
    REQUIRE(::dup2(lent.get(), LIVESWAP_FD_LISTENERS) == LIVESWAP_FD_LISTENERS);
    char names[] = "web";
    REQUIRE(listeners_adopt(names));
    ::options options{};
    unseen_listeners_watch(&options);
    REQUIRE(unseen_listeners_step() == -1);
  }));
}

TEST_CASE("unseen listeners: one that is seen once may just be on its way to the master") {
  CHECK(in_child([] {
    const UnitWorker worker;
    UniqueFd fd = listen_inet();
    ::options options{};
    unseen_listeners_watch(&options);
    const std::int64_t due = unseen_listeners_step();
    REQUIRE(due > clock_ms());
    REQUIRE(unseen_listeners_step() == due);
    hold(fd);
    move_clock(STEP_MS);
    REQUIRE(unseen_listeners_step() > 0);
    // Another one takes its place: it has been seen once as well.
    const UniqueFd next = listen_inet();
    move_clock(STEP_MS);
    REQUIRE(unseen_listeners_step() > 0);
    REQUIRE(worker.kinds().empty());
  }));
}
