// A signal that interrupts threads that wait (base/thread_interrupt.h). Each in a child: handlers, masks and
// counters are the process's.
#include "../host_headers.hpp"
#include "../in_child.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <thread>
#include <vector>

extern "C" {
#include "worker/base/fd_flags.h"
#include "worker/base/proc_self.h"
#include "worker/base/thread_interrupt.h"
}

using liveswap::test::in_child;

namespace {

template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

struct Pair {
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0); }
  ~Pair() {
    for (const int fd : fds) ::close(fd);
  }
  void send() const { REQUIRE(::send(fds[1], "x", 1, 0) == 1); }
  int fds[2];
};

// A thread that is in a system call; how often it has been interrupted by then.
class Waiting {
 public:
  Waiting(long call, std::function<void()> body) : body_(std::move(body)) {
    unsigned long argument = 0;
    REQUIRE(eventually([&] {
      const long now = id_ != 0 ? proc_self_call(id_, &argument) : long{SELF_CALL_RUNNING};
      return now == call || now == SELF_CALL_UNKNOWN;
    }));
  }
  ~Waiting() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  unsigned interrupted() {
    join();
    return count_;
  }
  pid_t id() const { return id_; }
  bool is_over() const { return is_over_; }

 private:
  const std::function<void()> body_;
  std::atomic<pid_t> id_ = 0;
  std::atomic<bool> is_over_ = false;
  std::atomic<unsigned> count_ = 0;
  std::thread thread_{[this] {
    interrupt_reaches();
    id_ = ::gettid();
    body_();
    count_ = interrupt_count();
    is_over_ = true;
  }};
};

std::function<void()> receives(const Pair& pair) {
  return [&] {
    char byte;
    [[maybe_unused]] const ssize_t size = ::recv(pair.fds[0], &byte, 1, 0);
  };
}

std::function<void()> polls(const Pair& pair) {
  return [&] {
    pollfd waits{pair.fds[0], POLLIN, 0};
    while (::poll(&waits, 1, -1) < 0 && interrupt_count() == 0) continue;
  };
}

void nothing(int) {}

void block_all(int how) {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(how, &all, nullptr);
}

std::vector<int> noted;
void note(int fd) { noted.push_back(fd); }

}  // namespace

TEST_CASE("interrupt: a thread that blocks the signal is not reached") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    REQUIRE(interrupt_reaches());
    REQUIRE(!interrupt_is_blocked);
    block_all(SIG_BLOCK);
    REQUIRE(!interrupt_reaches());
    REQUIRE(interrupt_is_blocked);
    block_all(SIG_UNBLOCK);
    REQUIRE(interrupt_reaches());
  }));
}

TEST_CASE("interrupt: what a thread does to its mask is followed") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    sigset_t all, none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    interrupt_note_mask(SIG_BLOCK, &all);
    REQUIRE(!interrupt_is_blocked);  // there is no such signal yet
    REQUIRE(interrupt_reaches());
    const std::pair<int, const sigset_t*> changes[] = {{SIG_BLOCK, &all},    {SIG_BLOCK, &none},
                                                       {SIG_UNBLOCK, &none}, {SIG_UNBLOCK, &all},
                                                       {SIG_SETMASK, &all},  {SIG_SETMASK, &none}};
    const bool expected[] = {true, true, true, false, true, false};
    for (int i = 0; i < 6; ++i) {
      interrupt_note_mask(changes[i].first, changes[i].second);
      REQUIRE(interrupt_is_blocked == expected[i]);
    }
  }));
}

TEST_CASE("interrupt: the signal is none that the application uses, and another when it begins to") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    const int last = SIGRTMAX - 1;
    ::signal(last, nothing);
    REQUIRE(interrupt_reaches());
    struct sigaction now {};
    ::sigaction(last, nullptr, &now);
    REQUIRE((now.sa_handler == nothing));
    ::sigaction(last - 1, nullptr, &now);
    REQUIRE((now.sa_handler != SIG_DFL));
    REQUIRE((now.sa_flags & SA_RESTART) != 0);
    REQUIRE((now.sa_flags & SA_ONSTACK) != 0);
    ::signal(last - 1, nothing);
    const unsigned before = interrupt_count();
    REQUIRE(interrupt_thread(::gettid()));
    REQUIRE(interrupt_count() == before + 1);
    ::sigaction(last - 1, nullptr, &now);
    REQUIRE((now.sa_handler == nothing));
  }));
}

TEST_CASE("interrupt: an application that uses them all cannot be interrupted, and is not harmed") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) ::signal(number, nothing);
    REQUIRE(!interrupt_reaches());
    REQUIRE(interrupt_thread(::gettid()));
    REQUIRE(interrupt_count() == 0);
  }));
}

TEST_CASE("interrupt: a thread that is, and one that has ended") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    REQUIRE(interrupt_thread(::gettid()));
    REQUIRE(interrupt_count() == 1);
    interrupt_note();
    REQUIRE(interrupt_count() == 2);
    pid_t ended = 0;
    std::thread([&] { ended = ::gettid(); }).join();
    REQUIRE(eventually([&] { return !interrupt_thread(ended); }));
    REQUIRE(interrupt_is_read_over());
  }));
}

TEST_CASE("interrupt: of those that wait, who polls, and who receives from what was taken away") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    const Pair polled, taken, plain;
    fd_flags_set(taken.fds[0], FLAG_REVOKED);
    Waiting poller(SYS_poll, polls(polled)), receiver(SYS_recvfrom, receives(taken)),
        other(SYS_recvfrom, receives(plain));
    REQUIRE(interrupt_reaches());
    interrupt_waiting_threads();
    REQUIRE(eventually([&] { return poller.is_over(); }));
    REQUIRE(poller.interrupted() >= 1);
    // What receives goes on by itself, with the descriptor looked up anew.
    REQUIRE(!receiver.is_over());
    taken.send();
    plain.send();
    REQUIRE(receiver.interrupted() == 1);
    REQUIRE(other.interrupted() == 0);
    REQUIRE(interrupt_count() == 0);  // not the caller
  }));
}

TEST_CASE("interrupt: those that may use a connection that is being handed off") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    const Pair moved, plain, seized;
    fd_flags_set(moved.fds[0], FLAG_HANDOFF);
    fd_flags_set(seized.fds[0], FLAG_REVOKED);
    Waiting reader(SYS_recvfrom, receives(moved)), other(SYS_recvfrom, receives(plain)),
        third(SYS_recvfrom, receives(seized));
    interrupt_handoff_users();
    for (const Pair* const each : {&moved, &plain, &seized}) each->send();
    REQUIRE(reader.interrupted() == 1);
    REQUIRE(other.interrupted() == 0);
    REQUIRE(third.interrupted() == 0);
  }));
}

TEST_CASE("interrupt: with which descriptors threads receive, without interrupting any") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    const Pair pair, polled;
    Waiting reader(SYS_recvfrom, receives(pair)), poller(SYS_poll, polls(polled));
    noted.clear();
    interrupt_note_readers(note);
    const std::vector<int> found = noted;
    pair.send();
    polled.send();
    REQUIRE(reader.interrupted() == 0);
    REQUIRE(poller.interrupted() == 0);
    if (found == std::vector<int>{INTERRUPT_ANY, INTERRUPT_ANY}) return;  // the kernel tells nobody here
    REQUIRE(found == std::vector<int>{pair.fds[0]});
  }));
}

TEST_CASE("interrupt: a read that has begun before is over when the thread has handled the signal") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    REQUIRE(interrupt_is_read_over());
    const Pair pair;
    fd_flags_set(pair.fds[0], FLAG_HANDOFF);
    Waiting reader(SYS_recvfrom, receives(pair));
    interrupt_handoff_users();
    REQUIRE(eventually([] { return interrupt_is_read_over(); }));
    pair.send();
    REQUIRE(reader.interrupted() == 1);
  }));
}

TEST_CASE("interrupt: a thread that blocks the signal stays in its read, as long as that lasts") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    REQUIRE(interrupt_reaches());
    const Pair pair;
    fd_flags_set(pair.fds[0], FLAG_HANDOFF);
    std::atomic<bool> may_end = false;
    Waiting reader(SYS_recvfrom, [&] {
      block_all(SIG_BLOCK);
      receives(pair)();
      while (!may_end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
    interrupt_handoff_users();
    for (int i = 0; i < 20; ++i) {
      REQUIRE(!interrupt_is_read_over());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    pair.send();
    REQUIRE(eventually([] { return interrupt_is_read_over(); }));  // it is elsewhere now
    may_end = true;
  }));
}
