// poll, select and their variants (interpose/poll_select.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>

#include <algorithm>
#include <array>
#include <climits>

extern "C" {
#include "worker/base/thread_interrupt.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/revoke.h"
int __poll_chk(pollfd* fds, nfds_t count, int timeout, size_t size);
int __ppoll_chk(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask, size_t size);
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

// Waits until one of the descriptors is readable; negative: without end. Keeps in `fds` what is readable, in
// their order; returns what the call returns.
using Wait = std::function<int(std::vector<int>& fds, int milliseconds)>;

timespec time_of(int milliseconds) { return {milliseconds / 1000, milliseconds % 1000 * 1'000'000L}; }

int by_poll(std::vector<int>& fds, const std::function<int(pollfd* fds, nfds_t count)>& call) {
  std::vector<pollfd> wanted;
  for (const int fd : fds) wanted.push_back({fd, POLLIN, 0});
  const int found = call(wanted.data(), wanted.size());
  fds.clear();
  for (const pollfd& each : wanted)
    if (each.revents != 0) fds.push_back(each.fd);
  return found;
}

int by_select(std::vector<int>& fds, const std::function<int(int count, fd_set* in)>& call) {
  fd_set in;
  FD_ZERO(&in);
  for (const int fd : fds) FD_SET(fd, &in);
  const int found = call(*std::max_element(fds.begin(), fds.end()) + 1, &in);
  if (found >= 0) std::erase_if(fds, [&in](int fd) { return !FD_ISSET(fd, &in); });
  return found;
}

const std::pair<const char*, Wait> kWaits[] = {
    {"poll",
     [](std::vector<int>& fds, int limit) {
       return by_poll(fds, [limit](pollfd* all, nfds_t count) { return ::poll(all, count, limit); });
     }},
    {"ppoll",
     [](std::vector<int>& fds, int limit) {
       const timespec time = time_of(limit);
       return by_poll(fds, [&](pollfd* all, nfds_t count) {
         return ::ppoll(all, count, limit < 0 ? nullptr : &time, nullptr);
       });
     }},
    {"select",
     [](std::vector<int>& fds, int limit) {
       timeval time{limit / 1000, limit % 1000 * 1000};
       return by_select(fds, [&](int count, fd_set* in) {
         return ::select(count, in, nullptr, nullptr, limit < 0 ? nullptr : &time);
       });
     }},
    {"pselect",
     [](std::vector<int>& fds, int limit) {
       const timespec time = time_of(limit);
       return by_select(fds, [&](int count, fd_set* in) {
         return ::pselect(count, in, nullptr, nullptr, limit < 0 ? nullptr : &time, nullptr);
       });
     }},
};

// `body` for each of the calls, in a worker of its own.
void with_each(const std::function<void(const HostedWorker&, const Wait&)>& body) {
  for (const auto& [name, wait] : kWaits) {
    CAPTURE(name);
    CHECK(in_child([&body, &wait = wait] {
      const HostedWorker worker;
      body(worker, wait);
    }));
  }
}

// What is readable within that time.
std::vector<int> readable(const Wait& wait, std::vector<int> fds, int limit = 0) {
  const int count = wait(fds, limit);
  REQUIRE(count == static_cast<int>(fds.size()));
  return fds;
}

using Numbers = std::vector<int>;

struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    out = UniqueFd::adopt(ends[0]), in = UniqueFd::adopt(ends[1]);
  }
  void write() const { REQUIRE(::write(in.get(), "x", 1) == 1); }
  UniqueFd in, out;
};

// So that waits need more than libc's functions.
void watch_readiness() { readiness_enter(false); }

void nothing(int) {}

}  // namespace

TEST_CASE("poll, select: what is not the master's is waited for as by libc, on both paths") {
  for (const bool is_slow : {false, true}) {
    with_each([is_slow](const HostedWorker&, const Wait& wait) {
      const Pipe one, other;
      if (is_slow) watch_readiness();
      REQUIRE(readable(wait, {one.out.get(), other.out.get()}).empty());
      REQUIRE(readable(wait, {one.out.get(), other.out.get()}, 5).empty());
      other.write();
      REQUIRE(readable(wait, {one.out.get(), other.out.get()}) == Numbers{other.out.get()});
      one.write();
      REQUIRE(readable(wait, {one.out.get(), other.out.get()}, -1) ==
              Numbers{one.out.get(), other.out.get()});
    });
  }
}

TEST_CASE("poll, select: a wait for a listener shows that the application is ready, once") {
  with_each([](const HostedWorker& worker, const Wait& wait) {
    const Held held(FLAG_BLOCKING);
    const UniqueFd foreign = masters_listener();
    watch_readiness();
    REQUIRE(readable(wait, {foreign.get()}).empty());
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_ENTERED});
    REQUIRE(readable(wait, {foreign.get(), held.fd.get()}).empty());
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_WAITS});
    REQUIRE((fd_flags(held.fd.get()) & FLAG_POLLED) != 0);
    REQUIRE(held.is_nonblocking());  // no accept() after the wait may block
    readable(wait, {held.fd.get()});
    REQUIRE(worker.kinds().empty());
    const UniqueFd client = connect_to(held.fd);
    REQUIRE(readable(wait, {held.fd.get()}, -1) == Numbers{held.fd.get()});
  });
}

TEST_CASE("poll: a wait for a listener's errors only, or of no descriptor, shows nothing") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    watch_readiness();
    worker.kinds();
    pollfd fds[] = {{held.fd.get(), 0, 0}, {-1, POLLIN, 0}};
    REQUIRE(::poll(fds, 2, 0) == 0);
    REQUIRE(::poll(nullptr, 0, 0) == 0);
    REQUIRE(::select(0, nullptr, nullptr, nullptr, std::array<timeval, 1>{}.data()) == 0);
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("poll, select: the worker host's signal does not end a wait, the application's does") {
  for (const bool is_slow : {false, true}) {
    with_each([is_slow](const HostedWorker&, const Wait& wait) {
      const Pipe pipe;
      if (is_slow) watch_readiness();
      Caller caller([&] {
        Numbers fds{pipe.out.get()};
        return wait(fds, -1) == 1 && fds.size() == 1 ? 1 : -1;
      });
      caller.await_poll();
      REQUIRE(interrupt_thread(caller.id()));
      caller.await_poll();
      pipe.write();
      REQUIRE(caller.result() == 1);

      const Pipe quiet;
      ::signal(SIGUSR1, nothing);
      Caller other([&] {
        Numbers fds{quiet.out.get()};
        return wait(fds, -1);
      });
      other.await_poll();
      other.send(SIGUSR1);
      REQUIRE(other.result() == -1);
      REQUIRE(other.error() == EINTR);
    });
  }
}

TEST_CASE("poll, select: a wait that the worker host interrupts ends at its own time limit") {
  with_each([](const HostedWorker&, const Wait& wait) {
    const Pipe pipe;
    const auto began = std::chrono::steady_clock::now();
    Caller caller([&] {
      Numbers fds{pipe.out.get()};
      return wait(fds, 80);
    });
    while (!caller.is_over()) {
      interrupt_thread(caller.id());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    REQUIRE(caller.result() == 0);
    REQUIRE(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(80));
  });
}

TEST_CASE("poll, select: a listener that is revoked during the wait is not reported, others are") {
  with_each([](const HostedWorker&, const Wait& wait) {
    const Held held;
    const Pipe pipe;
    Numbers found{held.fd.get(), pipe.out.get()};
    Caller caller([&] { return wait(found, -1); });
    caller.await_poll();
    revoke_listeners();
    const UniqueFd masters = held.masters(), client = connect_to(masters);
    pipe.write();
    REQUIRE(caller.result() == 1);
    REQUIRE(found == Numbers{pipe.out.get()});
  });
}

TEST_CASE("poll: a thread that polls revoked listeners only returns to its event loop, once") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held one(FLAG_BLOCKING), other(FLAG_BLOCKING);
    revoke_listeners();
    pollfd fds[] = {{one.fd.get(), POLLIN, 0}, {other.fd.get(), POLLIN, 0}};
    REQUIRE(::poll(fds, 2, -1) == 1);
    REQUIRE(fds[0].revents == POLLIN);
    REQUIRE(fds[1].revents == 0);
    REQUIRE(::accept(one.fd.get(), nullptr, nullptr) == -1);
    REQUIRE(errno == ECONNABORTED);
    REQUIRE(::poll(fds, 2, 5) == 0);
    REQUIRE(fds[0].revents == 0);
  }));
}

TEST_CASE("poll, select: a connection of the predecessor makes its listener readable, before and in a wait") {
  with_each([](const HostedWorker&, const Wait& wait) {
    const Held held, other;
    end_blocking(held.fd);
    adopted_begin();
    adopted_listener(held.entry);
    const UniqueFd client = connect_to(held.fd);
    const UniqueFd handed_off = UniqueFd::adopt(libc.accept(held.fd.get(), nullptr, nullptr));
    const auto adopt = [&] { adopted_put(held.cookie, libc.fcntl(handed_off.get(), F_DUPFD_CLOEXEC, 0), 0); };
    REQUIRE(readable(wait, {other.fd.get(), held.fd.get()}).empty());
    adopt();
    REQUIRE(readable(wait, {other.fd.get(), held.fd.get()}) == Numbers{held.fd.get()});
    REQUIRE(readable(wait, {other.fd.get(), held.fd.get()}, -1) == Numbers{held.fd.get()});
    REQUIRE(readable(wait, {other.fd.get()}).empty());
    REQUIRE(UniqueFd::adopt(::accept(held.fd.get(), nullptr, nullptr)));
    REQUIRE(readable(wait, {held.fd.get()}).empty());
    Numbers found{other.fd.get(), held.fd.get()};
    Caller caller([&] { return wait(found, -1); });
    caller.await_poll();
    adopt();
    REQUIRE(caller.result() == 1);
    REQUIRE(found == Numbers{held.fd.get()});
  });
}

TEST_CASE("poll, select: a wait that began before connections could come ends all the same") {
  with_each([](const HostedWorker&, const Wait& wait) {
    const Held held;
    const UniqueFd client = connect_to(held.fd);
    UniqueFd handed_off = UniqueFd::adopt(libc.accept(held.fd.get(), nullptr, nullptr));
    Numbers found{held.fd.get()};
    Caller caller([&] { return wait(found, -1); });
    caller.await_poll();
    adopted_put(held.cookie, handed_off.release(), 0);
    REQUIRE(eventually([&] {
      adopted_step();  // as the control thread, every 20 ms
      return caller.is_over();
    }));
    REQUIRE(caller.result() == 1);
    REQUIRE(found == Numbers{held.fd.get()});
  });
}

TEST_CASE("poll, select: each wait is a safe point") {
  with_each([](const HostedWorker&, const Wait& wait) {
    const Pipe pipe;
    wake_if_parked();
    REQUIRE(slow_path_has(SLOW_NEEDED));
    REQUIRE(readable(wait, {pipe.out.get()}).empty());
    REQUIRE(!slow_path_has(SLOW_NEEDED));
  });
}

TEST_CASE("poll, select: a forked child must not wait for the worker's listener") {
  with_each([](const HostedWorker&, const Wait& wait) {
    const Held held;
    const UniqueFd own = masters_listener();
    REQUIRE(in_child([&] { REQUIRE(readable(wait, {own.get()}).empty()); }));
    const int status = status_of_child([&] { readable(wait, {own.get(), held.fd.get()}); });
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 1);
  });
}

TEST_CASE("poll, select: a time that is none is refused, and a very long one is none that overflows") {
  for (const bool is_slow : {false, true}) {
    CHECK(in_child([is_slow] {
      const HostedWorker worker;
      const Pipe pipe;
      if (is_slow) watch_readiness();
      pollfd wanted{pipe.out.get(), POLLIN, 0};
      fd_set in;
      FD_ZERO(&in);
      for (const timespec time : {timespec{-1, 0}, timespec{0, -1}, timespec{0, 1'000'000'000}}) {
        errno = 0;
        REQUIRE(::ppoll(&wanted, 1, &time, nullptr) == -1);
        REQUIRE(errno == EINVAL);
        errno = 0;
        REQUIRE(::pselect(1, &in, nullptr, nullptr, &time, nullptr) == -1);
        REQUIRE(errno == EINVAL);
      }
      timeval negative{0, -1};
      REQUIRE(::select(1, &in, nullptr, nullptr, &negative) == -1);
      REQUIRE(errno == EINVAL);
      errno = 0;
      REQUIRE(::select(-1, &in, nullptr, nullptr, nullptr) == -1);
      REQUIRE(errno == EINVAL);
      pipe.write();
      const timespec long_time{LONG_MAX, 0};
      REQUIRE(::ppoll(&wanted, 1, &long_time, nullptr) == 1);
      FD_SET(wanted.fd, &in);
      REQUIRE(::pselect(wanted.fd + 1, &in, nullptr, nullptr, &long_time, nullptr) == 1);
    }));
  }
}

TEST_CASE("select: the remaining time is stored, and microseconds above a million count") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Pipe pipe;
    pipe.write();
    fd_set in;
    FD_ZERO(&in);
    FD_SET(pipe.out.get(), &in);
    timeval time{1, 100'000'000};
    REQUIRE(::select(pipe.out.get() + 1, &in, nullptr, nullptr, &time) == 1);
    REQUIRE(time.tv_sec >= 90);
    REQUIRE(time.tv_sec <= 100);
    FD_CLR(pipe.out.get(), &in);
    time = {0, 10'000};
    REQUIRE(::select(pipe.out.get() + 1, &in, nullptr, nullptr, &time) == 0);
    REQUIRE(time.tv_sec == 0);
    REQUIRE(time.tv_usec == 0);
  }));
}

TEST_CASE("select: writing and failing are waited for beside reading; what is not asked for stays") {
  for (const bool is_slow : {false, true}) {
    CHECK(in_child([is_slow] {
      const HostedWorker worker;
      const Held held;
      const Pipe pipe;
      if (is_slow) watch_readiness();
      fd_set in, out, failed;
      for (fd_set* const each : {&in, &out, &failed}) FD_ZERO(each);
      FD_SET(held.fd.get(), &in);
      FD_SET(pipe.in.get(), &out);
      FD_SET(pipe.out.get(), &failed);
      REQUIRE(::select(FD_SETSIZE, &in, &out, &failed, nullptr) == 1);
      REQUIRE(!FD_ISSET(held.fd.get(), &in));
      REQUIRE(FD_ISSET(pipe.in.get(), &out));
      REQUIRE(!FD_ISSET(pipe.out.get(), &failed));
    }));
  }
}

TEST_CASE("select: sets beyond FD_SETSIZE are libc's affair, and the control thread stays for them") {
  CHECK(in_child([] {
    const HostedWorker worker;
    enum { WIDTH = FD_SETSIZE + 64 };
    const Pipe pipe;
    pipe.write();
    fd_set in[2];
    for (fd_set& each : in) FD_ZERO(&each);
    FD_SET(pipe.out.get(), &in[0]);
    REQUIRE(control_thread_looks_for_loop());
    REQUIRE(::select(WIDTH, in, nullptr, nullptr, nullptr) == 1);
    REQUIRE(!control_thread_looks_for_loop());
    REQUIRE(control_thread_due() == -1);
    REQUIRE(::pselect(WIDTH, in, nullptr, nullptr, nullptr, nullptr) == 1);
  }));
}

TEST_CASE("poll: the fortified variants are the same, and end a process that lies about its array") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Pipe pipe;
    pipe.write();
    pollfd wanted[2] = {{pipe.out.get(), POLLIN, 0}, {-1, 0, 0}};
    const timespec none{};
    REQUIRE(__poll_chk(wanted, 2, 0, sizeof wanted) == 1);
    REQUIRE(__ppoll_chk(wanted, 2, &none, nullptr, sizeof wanted) == 1);
    ::signal(SIGABRT, SIG_DFL);
    const int plain = status_of_child([&] { __poll_chk(wanted, 3, 0, sizeof wanted); });
    REQUIRE(WIFSIGNALED(plain));
    REQUIRE(WTERMSIG(plain) == SIGABRT);
    const int timed = status_of_child([&] { __ppoll_chk(wanted, 3, &none, nullptr, sizeof wanted); });
    REQUIRE(WIFSIGNALED(timed));
    REQUIRE(WTERMSIG(timed) == SIGABRT);
  }));
}

TEST_CASE("poll: with very many descriptors a connection of the predecessor is seen after another event") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    end_blocking(held.fd);
    adopted_begin();
    adopted_listener(held.entry);
    const UniqueFd client = connect_to(held.fd);
    const Pipe pipe;
    pipe.write();
    std::vector<pollfd> fds(1100, {-1, POLLIN, 0});
    fds[0].fd = held.fd.get(), fds[1099].fd = pipe.out.get();
    UniqueFd handed_off = UniqueFd::adopt(libc.accept(held.fd.get(), nullptr, nullptr));
    adopted_put(held.cookie, handed_off.release(), 0);
    REQUIRE(::poll(fds.data(), fds.size(), -1) == 2);
    REQUIRE(fds[0].revents == POLLIN);
    REQUIRE(fds[1099].revents == POLLIN);
  }));
}

TEST_CASE("ppoll, pselect: the mask is the wait's") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Pipe pipe;
    sigset_t blocked, open;
    ::sigemptyset(&open);
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::signal(SIGUSR1, nothing);
    ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
    pollfd wanted{pipe.out.get(), POLLIN, 0};
    fd_set in;
    FD_ZERO(&in);
    for (const bool is_slow : {false, true}) {
      if (is_slow) watch_readiness();
      ::raise(SIGUSR1);
      REQUIRE(::ppoll(&wanted, 1, nullptr, &open) == -1);
      REQUIRE(errno == EINTR);
      ::raise(SIGUSR1);
      REQUIRE(::pselect(1, nullptr, &in, nullptr, nullptr, &open) == -1);
      REQUIRE(errno == EINTR);
    }
  }));
}
