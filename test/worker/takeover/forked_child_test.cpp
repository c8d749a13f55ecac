// Processes that the application forks (takeover/forked_child.h), and whether it handles SIGTERM
// (takeover/sigterm_handler.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <string>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/readiness.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/sigterm_handler.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : UnitWorker {
  Worker() { REQUIRE(forked_child_setup()); }
  UniqueFd fd = listen_inet();
  const listener* held = hold(fd);
};

bool is_readable(int fd) {
  pollfd waits{fd, POLLIN, 0};
  return ::poll(&waits, 1, 0) == 1;
}

bool ends_silently(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 1; }

}  // namespace

TEST_CASE("forked child: before any fork there is nothing to look for") {
  CHECK(in_child([] {
    const Worker worker;
    REQUIRE(!forked_child_is_here());
    REQUIRE(!forked_child_runs());
    REQUIRE(!forked_child_is_of_vfork());
    REQUIRE(!forked_child_has_forked());
    REQUIRE(!forked_child_may_report());
    REQUIRE(!forked_child_may_be_daemon());
    REQUIRE(fd_flags(forked_child_fd()) == FLAG_HOST);
    REQUIRE(!is_readable(forked_child_fd()));
    forked_child_serve_report();  // nothing is reported
  }));
}

TEST_CASE(
    "forked child: in the child the listeners are inherited, and nothing is the host's but the report") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd moved = listen_inet();
    fd_flags_set(moved.get(), FLAG_HANDOFF | FLAG_OWN);
    fd_flags_add(worker.fd.get(), FLAG_POLLED);
    REQUIRE(fd_flags(wake_fd()) == FLAG_HOST);
    REQUIRE(in_child([&] {
      REQUIRE(forked_child_is_here());
      REQUIRE(forked_child_runs());
      REQUIRE(!forked_child_is_of_vfork());
      REQUIRE(fd_flags(worker.fd.get()) == (FLAG_INHERITED | FLAG_POLLED));
      REQUIRE(fd_flags(moved.get()) == FLAG_OWN);
      REQUIRE(fd_flags(wake_fd()) == 0);
      REQUIRE(fd_flags(forked_child_fd()) == FLAG_HOST);
    }));
    REQUIRE(fd_flags(worker.fd.get()) == (FLAG_HELD | FLAG_POLLED));
    REQUIRE(!forked_child_is_here());
  }));
}

TEST_CASE("forked child: the master is told of the first fork") {
  CHECK(in_child([] {
    const Worker worker;
    for (int i = 0; i < 2; ++i) REQUIRE(in_child([] {}));
    REQUIRE(forked_child_has_forked());
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_FORKED});
    REQUIRE(!forked_child_may_report());  // both have been reaped
  }));
}

TEST_CASE("forked child: one that works for its parent may") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd own = listen_inet();
    REQUIRE(in_child([&] {
      forked_child_uses(own.get());
      forked_child_uses(0);
      forked_child_binds(own.get());
      forked_child_binds(0);
    }));
    REQUIRE(!is_readable(forked_child_fd()));
  }));
}

TEST_CASE("forked child: one that serves is ended, and then the worker fails and says why") {
  CHECK(in_child([] {
    Worker worker;
    const int status = status_of_child([&] { forked_child_uses(worker.fd.get()); });
    REQUIRE(ends_silently(status));
    REQUIRE(is_readable(forked_child_fd()));
    // The worker itself would end here.
    MasterEnd second;
    const int failed = status_of_child([&] {
      REQUIRE(second.adopt());
      forked_child_serve_report();
    });
    REQUIRE(WEXITSTATUS(failed) == LIVESWAP_EXIT_LOAD);
    const auto frame = second.receive();
    REQUIRE(frame->kind == LIVESWAP_FAILED);
    REQUIRE(frame->value == LIVESWAP_STAGE_START);
    REQUIRE(frame->text.find("prefork") != std::string::npos);
    // From then on its children must not serve, wherever they wait.
    REQUIRE(ends_silently(status_of_child([] { forked_child_uses(0); })));
  }));
}

TEST_CASE("forked child: an application that drains by itself sees to its children") {
  CHECK(in_child([] {
    const Worker worker;
    liveswap_draining();
    REQUIRE(in_child([&] {
      forked_child_uses(worker.fd.get());
      forked_child_detached();
      forked_child_binds(worker.fd.get());
    }));
    REQUIRE(!is_readable(forked_child_fd()));
  }));
}

TEST_CASE("forked child: one that leaves the session and then binds has become a daemon") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd own = listen_inet(), datagrams = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM);
    REQUIRE(in_child([&] {
      forked_child_detached();
      forked_child_binds(datagrams.get());  // a resolver's, say
    }));
    REQUIRE(ends_silently(status_of_child([&] {
      forked_child_detached();
      forked_child_binds(own.get());
    })));
    REQUIRE(is_readable(forked_child_fd()));
    REQUIRE(forked_child_may_be_daemon());
    MasterEnd second;
    const int failed = status_of_child([&] {
      REQUIRE(second.adopt());
      forked_child_serve_report();
    });
    REQUIRE(WEXITSTATUS(failed) == LIVESWAP_EXIT_LOAD);
    REQUIRE(second.receive()->text.find("daemon") != std::string::npos);
  }));
}

TEST_CASE("forked child: once the worker is ready a child may do as it likes") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd own = listen_inet();
    liveswap_ready();
    REQUIRE(in_child([&] {
      forked_child_detached();
      forked_child_binds(own.get());
    }));
    REQUIRE(!is_readable(forked_child_fd()));
    REQUIRE(!forked_child_may_be_daemon());
  }));
}

TEST_CASE("forked child: a child that has ended while the worker starts may have been a daemon's parent") {
  CHECK(in_child([] {
    const Worker worker;
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    REQUIRE(eventually([] { return forked_child_may_be_daemon(); }));
    REQUIRE(forked_child_may_report());
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    REQUIRE(!forked_child_may_be_daemon());
  }));
}

namespace {

void nothing(int) {}

struct Thread {
  explicit Thread(bool waits, bool blocks) : waits_(waits), blocks_(blocks) {
    REQUIRE(eventually([this] { return is_there.load(); }));
  }
  ~Thread() {
    is_over = true;
    if (waits_) ::pthread_kill(thread.native_handle(), SIGUSR1);
    thread.join();
  }
  void run() {
    sigset_t set, both;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::pthread_sigmask(blocks_ ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
    both = set;
    ::sigaddset(&both, SIGUSR1);
    is_there = true;
    int number = 0;
    if (waits_) ::sigwait(&both, &number);
    else
      while (!is_over) std::this_thread::yield();
  }
  const bool waits_, blocks_;
  std::atomic<bool> is_there = false, is_over = false;
  std::thread thread{[this] { run(); }};
};

void block(int how) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGUSR1);
  ::pthread_sigmask(how, &set, nullptr);
}

}  // namespace

TEST_CASE("sigterm handler: by default and ignored there is none, a function is one") {
  CHECK(in_child([] {
    const UnitWorker worker;
    block(SIG_UNBLOCK);
    ::signal(SIGTERM, SIG_IGN);
    REQUIRE(!sigterm_handler());
    ::signal(SIGTERM, nothing);
    REQUIRE(sigterm_handler());
    ::signal(SIGTERM, SIG_DFL);
    const Thread other(false, false);
    REQUIRE(!sigterm_handler());
  }));
}

TEST_CASE("sigterm handler: blocked in all threads it is read by some") {
  CHECK(in_child([] {
    const UnitWorker worker;
    ::signal(SIGTERM, SIG_DFL);
    block(SIG_BLOCK);
    const Thread first(false, true);
    REQUIRE(sigterm_handler());
    {
      const Thread waiting(true, true);
      REQUIRE(eventually([] { return sigterm_handler(); }));
    }
    const Thread open(false, false);
    REQUIRE(!sigterm_handler());
  }));
}
