// bind and listen of an application that calls the kernel itself (interpose/seccomp.c).
#include "../hosted_worker.hpp"
#include "../raw_call.h"

#include <doctest/doctest.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

extern "C" {
#include "worker/base/options.h"
#include "worker/interpose/seccomp.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

// Containers may forbid filters that notify.
bool have_filters() {
  const bool have = in_child([] {
    const HostedWorker worker;
    seccomp_begin();
  });
  if (!have) MESSAGE("no seccomp filters with notices here");
  return have;
}

struct Filtered : HostedWorker {
  Filtered() { seccomp_begin(); }
};

long raw_bind(const UniqueFd& fd, std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  return raw_call(SYS_bind, fd.get(), reinterpret_cast<long>(&address), sizeof address, 0);
}

long raw_listen(const UniqueFd& fd, int backlog) { return raw_call(SYS_listen, fd.get(), backlog, 0, 0); }

std::uint16_t free_port() { return port_of(masters_listener()); }

}  // namespace

TEST_CASE("seccomp: raw bind() and listen() reach the master, as by libc") {
  if (!have_filters()) return;
  CHECK(in_child([] {
    const Filtered worker;
    REQUIRE(options_seccomp_is_on());
    const std::uint16_t port = free_port();
    FakeMaster master(worker, [](const Received& frame) {
      sockaddr_in address{};
      if (frame.kind != LIVESWAP_BIND) return Reply{};
      const auto* const body = reinterpret_cast<const liveswap_bind*>(frame.text.data());
      std::memcpy(&address, body->address, sizeof address);
      // The worker host's own calls pass the filter; in this process the master's are such.
      return Reply{libc.bind(frame.fd.get(), generic(address), sizeof address) == 0 ? 0U : EIO, -1};
    });
    const UniqueFd fd = make_socket();
    REQUIRE(raw_bind(fd, port) == 0);
    REQUIRE(port_of(fd) == port);
    REQUIRE((fd_flags(fd.get()) & FLAG_HELD) != 0);
    REQUIRE(raw_listen(fd, 9) == 0);
    REQUIRE(master.first(LIVESWAP_LISTEN).count == 9);
  }));
}

TEST_CASE("seccomp: the master's refusal is the call's") {
  if (!have_filters()) return;
  CHECK(in_child([] {
    const Filtered worker;
    FakeMaster master(worker, [](const Received&) { return Reply{EACCES, -1}; });
    REQUIRE(raw_bind(make_socket(), free_port()) == -EACCES);
  }));
}

TEST_CASE("seccomp: what the master has no part in passes") {
  if (!have_filters()) return;
  CHECK(in_child([] {
    const Filtered worker;
    const UniqueFd client = make_socket(), own = make_socket();
    REQUIRE(raw_bind(client, 0) == 0);  // a client may do that before connect()
    REQUIRE(port_of(client) != 0);
    REQUIRE(raw_listen(client, 1) == 0);
    REQUIRE(raw_bind(UniqueFd::adopt(-1), 80) == -EBADF);
    REQUIRE(raw_call(SYS_bind, own.get(), 16, 16, 0) == -EFAULT);  // no memory of the application's
    const sockaddr_in address = loopback();
    REQUIRE(raw_call(SYS_bind, own.get(), reinterpret_cast<long>(&address), 1, 0) == -EINVAL);
    REQUIRE(raw_call(SYS_getpid, 0, 0, 0, 0) == ::getpid());
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("seccomp: calls by libc are seen once, and work") {
  if (!have_filters()) return;
  CHECK(in_child([] {
    const Filtered worker;
    FakeMaster master(worker, [](const Received&) { return Reply{LIVESWAP_STAYS_OWN, -1}; });
    const UniqueFd fd = make_socket();
    const sockaddr_in address = loopback(free_port());
    REQUIRE(::bind(fd.get(), generic(address), sizeof address) == 0);
    REQUIRE(::listen(fd.get(), 3) == 0);
    const UniqueFd client = connect_to(fd);
    int asked = 0;
    for (const Received& frame : master.heard()) asked += frame.kind == LIVESWAP_BIND;
    REQUIRE(asked == 1);
  }));
}

TEST_CASE("seccomp: a forked child's calls pass, and it does not wait for a worker that is gone") {
  if (!have_filters()) return;
  CHECK(in_child([] {
    const Filtered worker;
    REQUIRE(in_child([] {
      REQUIRE(!options_seccomp_is_on());
      REQUIRE(raw_bind(make_socket(), free_port()) == 0);
    }));
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_FORKED});
  }));
}

TEST_CASE("seccomp: the kernel has one such filter, so a second one ends the worker with advice") {
  if (!have_filters()) return;
  MasterEnd master;
  const int status = status_of_child([&] {
    const Filtered worker;
    go_on_with(master);
    seccomp_begin();
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == LIVESWAP_EXIT_LOAD);
  const auto frame = master.receive();
  REQUIRE(frame.has_value());
  CHECK(frame->kind == LIVESWAP_FAILED);
  CHECK(frame->text.find("--intercept seccomp: cannot install a filter") == 0);
  CHECK(frame->text.find("allows only one") != std::string::npos);
}
