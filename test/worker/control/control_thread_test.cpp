// What the control thread does while it is there (control/control_thread.h).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/holds.h"
#include "worker/control/control_thread.h"
#include "worker/control/request.h"
#include "worker/link/inbox.h"
#include "worker/retire/linger.h"
#include "worker/retire/orphan.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/give_back.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : HostedWorker {
  Worker() {
    options.drain_limit_ms = options.term_grace_ms = 1'000'000;
    options.keepalive_grace_ms = 1000;
    REQUIRE(holds_setup());
    REQUIRE(inbox_setup());
    REQUIRE(linger_setup());
    REQUIRE(control_thread_setup());
    frames_entered();  // the end of the test is that of the master
  }
  // The next frame of that kind.
  Received await(std::uint32_t kind) const {
    std::optional<Received> frame;
    REQUIRE(eventually([&] { return (frame = receive()).has_value() && frame->kind == kind; }));
    return std::move(*frame);
  }
  void check_serves() const {
    send({.kind = LIVESWAP_COUNT, .value = 3});
    REQUIRE(await(LIVESWAP_COUNTED).value == 3);
  }
};

struct Running : Worker {
  Running() { REQUIRE(control_thread_start()); }
};

std::string read_of(pid_t thread, const std::string& file) {
  const std::ifstream in("/proc/self/task/" + std::to_string(thread) + "/" + file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The thread of that name; 0: there is none.
pid_t find_thread(const std::string& name) {
  struct Search {
    const std::string& name;
    pid_t found = 0;
  } search{name};
  proc_self_each_thread(
      [](int thread, void* of) {
        auto* const wanted = static_cast<Search*>(of);
        if (read_of(thread, "comm") == wanted->name + "\n") wanted->found = thread;
      },
      &search);
  return search.found;
}

pid_t control_thread() {
  pid_t found = 0;
  REQUIRE(eventually([&] { return (found = find_thread("lsw-control")) != 0; }));
  return found;
}

// The value in /proc/.../status.
std::string status_of(pid_t thread, const std::string& name) {
  const std::string text = read_of(thread, "status");
  const std::size_t at = text.find("\n" + name + ":\t");
  REQUIRE(at != std::string::npos);
  const std::size_t begin = at + name.size() + 3;
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

TEST_CASE("control thread: without a descriptor for its wakes it cannot be set up") {
  CHECK(in_child([] {
    const NoMoreDescriptors full;
    errno = 0;
    REQUIRE(!control_thread_setup());
    REQUIRE(errno == EMFILE);
  }));
}

TEST_CASE("control thread: it blocks every signal, and the thread that starts it keeps its mask") {
  CHECK(in_child([] {
    const Running worker;
    worker.check_serves();
    const std::string blocked = status_of(control_thread(), "SigBlk");
    for (const int number : {SIGTERM, SIGURG, SIGUSR1, SIGALRM})
      REQUIRE((std::stoull(blocked, nullptr, 16) >> (number - 1) & 1) == 1);
    sigset_t mask;
    REQUIRE(libc.pthread_sigmask(SIG_SETMASK, nullptr, &mask) == 0);
    REQUIRE(::sigismember(&mask, SIGTERM) == 0);
  }));
}

TEST_CASE("control thread: CPUs and priority are the process's at its start, not the starting thread's") {
  CHECK(in_child([] {
    const Worker worker;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    const std::string all = status_of(::getpid(), "Cpus_allowed");
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
    const sched_param none{};
    REQUIRE(::sched_setscheduler(0, SCHED_BATCH, &none) == 0);
    REQUIRE(control_thread_start());
    worker.check_serves();
    REQUIRE(status_of(control_thread(), "Cpus_allowed") == all);
    REQUIRE(::sched_getscheduler(control_thread()) == SCHED_OTHER);
  }));
}

TEST_CASE("control thread: where no thread can be started, that is said") {
  CHECK(in_child([] {
    const Worker worker;
    libc.pthread_create = [](pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) { return EAGAIN; };
    errno = 0;
    REQUIRE(!control_thread_start());
    REQUIRE(errno == EAGAIN);
    sigset_t mask;
    REQUIRE(libc.pthread_sigmask(SIG_SETMASK, nullptr, &mask) == 0);
    REQUIRE(::sigismember(&mask, SIGTERM) == 0);
  }));
}

TEST_CASE("control thread: it serves the master's frames, one after the other") {
  CHECK(in_child([] {
    const Running worker;
    for (int i = 1; i <= 20; ++i) worker.send({.kind = LIVESWAP_MESSAGE, .value = i}, "message");
    for (int i = 1; i <= 20; ++i) REQUIRE(worker.await(LIVESWAP_TAKEN).value == i);
    worker.check_serves();
  }));
}

TEST_CASE("control thread: it receives the answer for which the application waits") {
  CHECK(in_child([] {
    const Running worker;
    Caller caller([] {
      const request asked{LIVESWAP_UNLINK, 0, "/path", 5, -1};
      return request_ask(&asked, nullptr);
    });
    const Received frame = worker.await(LIVESWAP_UNLINK);
    worker.send({.kind = LIVESWAP_ANSWER, .value = frame.value, .count = EACCES});
    REQUIRE(caller.result() == EACCES);
  }));
}

TEST_CASE("control thread: it ends connections that linger, when the client has closed") {
  CHECK(in_child([] {
    const Running worker;
    const UniqueFd listener = masters_listener();
    UniqueFd client = connect_to(listener);
    REQUIRE(liveswap_close_lingering(libc.accept(listener.get(), nullptr, nullptr)) == 0);
    char byte = 0;
    REQUIRE(libc.recv(client.get(), &byte, 1, 0) == 0);
    REQUIRE(!linger_has_none());
    client.reset();
    REQUIRE(eventually([] { return linger_has_none(); }));
  }));
}

TEST_CASE("control thread: a wake makes it look at everything, and the eventfd is quiet again") {
  CHECK(in_child([] {
    const Running worker;
    worker.check_serves();
    pollfd wakes{wake_fd(), POLLIN, 0};
    wake_control_thread();
    REQUIRE(eventually([&] { return libc.poll(&wakes, 1, 0) == 0; }));
  }));
}

TEST_CASE("control thread: during a drain it says how many connections there are, when that changes") {
  CHECK(in_child([] {
    const Running worker;
    const Held held;
    UniqueFd client = connect_to(held.fd);
    UniqueFd connection = UniqueFd::adopt(libc.accept(held.fd.get(), nullptr, nullptr));
    liveswap_drain_fd();  // so that it drains by itself
    worker.send({.kind = LIVESWAP_DRAIN, .value = -1});
    REQUIRE(worker.await(LIVESWAP_COUNTED).count == 1);
    libc.close(connection.release());
    REQUIRE(worker.await(LIVESWAP_COUNTED).count == 0);
  }));
}

TEST_CASE("control thread: an application that does not drain by itself is ended by it") {
  MasterEnd master;
  const int status = status_of_child([&] {
    const Worker worker;
    go_on_with(master);
    ::signal(SIGTERM, SIG_DFL);
    const Held held;
    REQUIRE(control_thread_start());
    master.send({.kind = LIVESWAP_DRAIN, .value = -1});
    for (;;) ::pause();
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("control thread: connections that this worker cannot adopt go back when the channel has room") {
  CHECK(in_child([] {
    const Running worker;
    const UniqueFd listener = masters_listener(), client = connect_to(listener);
    give_back(4711, libc.accept(listener.get(), nullptr, nullptr), 0);
    const Received frame = worker.await(LIVESWAP_HANDOFF);
    REQUIRE(frame.fd);
    REQUIRE(frame.count > 0);
    REQUIRE(eventually([] { return give_back_is_done(); }));
  }));
}

TEST_CASE("control thread: a forked child that serves is reported, and the worker fails") {
  MasterEnd master;
  const int status = status_of_child([&] {
    const Worker worker;
    go_on_with(master);
    REQUIRE(control_thread_start());
    const Held held;
    if (::fork() == 0) {
      forked_child_uses(held.fd.get());  // as its accept() does
      ::_exit(0);
    }
    for (;;) ::pause();
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == LIVESWAP_EXIT_LOAD);
  std::string text;
  while (const auto frame = master.receive())
    if (frame->kind == LIVESWAP_FAILED) text = frame->text;
  CHECK(text.find("prefork") != std::string::npos);
}

TEST_CASE("control thread: without a master it drains by the worker's own limit, and goes on") {
  CHECK(in_child([] {
    Running worker;
    const Held held;
    const UniqueFd client = connect_to(held.fd);
    const UniqueFd connection = UniqueFd::adopt(libc.accept(held.fd.get(), nullptr, nullptr));
    worker.die();
    REQUIRE(eventually([] { return drain_is_on(); }));
    REQUIRE(eventually([&] { return is_placeholder(held.fd.get()); }));
    // It waits, and is not awake all the time for a channel at its end.
    const pid_t thread = control_thread();
    unsigned long argument = 0;
    REQUIRE(eventually([&] { return proc_self_call(thread, &argument) == SYS_poll; }));
  }));
}

TEST_CASE("control thread: started again, the one before has ended") {
  CHECK(in_child([] {
    const Worker worker;
    REQUIRE(control_thread_begin(&worker.options));
    liveswap_ready();
    control_thread_note_loop();
    for (int i = 0; i < 2; ++i) {
      REQUIRE(eventually([] { return control_thread_is_parked(); }));
      REQUIRE(control_thread_unpark());
      REQUIRE(proc_self_count_threads() <= 3);
      worker.check_serves();
      REQUIRE(proc_self_count_threads() == 2);
    }
  }));
}
