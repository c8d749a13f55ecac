// daemon, setsid, exit and their like (interpose/process_exit.c). Each in a child that ends by it.
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/interpose/process_exit.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

using Exit = void (*)(int status);

const std::pair<const char*, Exit> kExits[] = {
    {"exit", [](int status) { std::exit(status); }},
    {"_exit", [](int status) { ::_exit(status); }},
    {"_Exit", [](int status) { std::_Exit(status); }},
};

enum { STATUS = 5 };

// What a worker whose application has made `body` says when it fails; nothing: it has ended with `status`.
std::string failure_of(const std::function<void(HostedWorker&)>& body, int status) {
  MasterEnd master;
  const int ended = status_of_child([&] {
    HostedWorker worker;
    go_on_with(master);
    body(worker);
  });
  REQUIRE(WIFEXITED(ended));
  std::string text;
  bool has_failed = false;
  while (const auto frame = master.receive())
    if (frame->kind == LIVESWAP_FAILED) text = frame->text, has_failed = true;
  CHECK(WEXITSTATUS(ended) == (has_failed ? int{LIVESWAP_EXIT_LOAD} : status));
  return text;
}

bool is_about_daemons(const std::string& text) {
  return text.find("turns itself into a daemon") != std::string::npos;
}

// A child that has ended, and of which the application has not waited.
void leave_child() {
  if (::fork() == 0) libc._exit(0);
  REQUIRE(eventually([] { return forked_child_may_be_daemon(); }));
}

}  // namespace

TEST_CASE("exit: a worker ends with the status that the application wants") {
  for (const auto& [name, exit] : kExits) {
    CAPTURE(name);
    for (const int status : {0, int{STATUS}})
      CHECK(failure_of([&, exit = exit](HostedWorker&) { exit(status); }, status) == "");
  }
}

TEST_CASE("exit: one that ends well before it is ready, and leaves a child, is a daemon") {
  for (const auto& [name, exit] : kExits) {
    CAPTURE(name);
    const auto leave = [exit = exit](HostedWorker&) {
      leave_child();
      exit(0);
    };
    CHECK(is_about_daemons(failure_of(leave, 0)));
  }
}

TEST_CASE("exit: with another status, when it was ready, or told to drain, it is none") {
  CHECK(failure_of(
            [](HostedWorker&) {
              leave_child();
              std::exit(STATUS);
            },
            STATUS) == "");
  CHECK(failure_of(
            [](HostedWorker&) {
              leave_child();
              liveswap_ready();
              std::exit(0);
            },
            0) == "");
  CHECK(failure_of(
            [](HostedWorker&) {
              leave_child();
              drain_order(-1);
              std::exit(0);
            },
            0) == "");
  CHECK(failure_of(
            [](HostedWorker&) {
              leave_child();
              liveswap_drain_fd();
              std::exit(0);
            },
            0) == "");
}

TEST_CASE("exit: a child that left the session makes a daemon of the worker that ends") {
  const auto detach = [](HostedWorker&) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::setsid();
      libc._exit(0);
    }
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    std::exit(0);
  };
  CHECK(is_about_daemons(failure_of(detach, 0)));
}

TEST_CASE("exit: a forked child ends as it wants") {
  for (const auto& [name, exit] : kExits) {
    CAPTURE(name);
    CHECK(in_child([exit = exit] {
      const HostedWorker worker;
      const int status = status_of_child([&] {
        ::setsid();
        exit(STATUS);
      });
      REQUIRE(WIFEXITED(status));
      REQUIRE(WEXITSTATUS(status) == STATUS);
      liveswap_ready();  // else this process would be taken for one that its child leaves
      REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_FORKED});
    }));
  }
}

TEST_CASE("exit: a worker without a master's listeners may do as it likes") {
  const int status = status_of_child([] {
    MasterEnd master;
    REQUIRE(master.adopt());
    REQUIRE(forked_child_setup());
    leave_child();
    std::exit(0);
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("daemon: refused in the worker, at any time; a child may") {
  CHECK(is_about_daemons(failure_of([](HostedWorker&) { (void)!::daemon(0, 0); }, 0)));
  CHECK(is_about_daemons(failure_of(
      [](HostedWorker&) {
        liveswap_ready();
        (void)!::daemon(0, 0);
      },
      0)));
  CHECK(in_child([] {
    const HostedWorker worker;
    const int status = status_of_child([] { (void)!::daemon(1, 1); });
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);  // of the process that daemon() leaves
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_FORKED});
  }));
}

TEST_CASE("setsid: does what libc's does") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const int status = status_of_child([] { REQUIRE(::setsid() == ::getpid()); });
    REQUIRE(status == 0);
    liveswap_ready();  // else this process would be taken for one that its child leaves
    REQUIRE(::getsid(0) != ::getpid());
    REQUIRE(::setsid() == ::getpid());  // the worker itself is no child: that shows nothing
    REQUIRE(::getsid(0) == ::getpid());
    errno = 0;
    REQUIRE(::setsid() == -1);
    REQUIRE(errno == EPERM);
  }));
}
