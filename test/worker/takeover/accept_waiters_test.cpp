// Threads in accept() (takeover/accept_waiters.h), and the lock around what the host replaces
// (takeover/epoll_lock.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <thread>

extern "C" {
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/epoll_lock.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

// A thread in a blocking accept(), as interpose/accept.c calls it.
class Acceptor {
 public:
  explicit Acceptor(int fd) : fd_(fd) {
    REQUIRE(eventually([this] { return state_ != 0; }));
  }
  ~Acceptor() {
    if (thread_.joinable()) thread_.join();
  }
  bool is_over() const { return state_ == 2; }
  int error() const { return error_; }

 private:
  void run() {
    const bool is_ready = accept_waiters_ready();
    const int before = is_ready ? accept_waiters_begin(fd_) : 0;
    state_ = 1;
    const UniqueFd accepted = UniqueFd::adopt(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
    error_ = accepted ? 0 : errno;
    if (is_ready) accept_waiters_end(before);
    state_ = 2;
  }
  const int fd_;
  std::atomic<int> state_ = 0, error_ = 0;
  std::thread thread_{[this] { run(); }};
};

// Ends what accepts from the listener.
void end_accept(const UniqueFd& listener) { ::shutdown(listener.get(), SHUT_RDWR); }

}  // namespace

TEST_CASE("accept_waiters: a thread has a place of its own, as long as it lives") {
  CHECK(in_child([] {
    const UnitWorker worker;
    REQUIRE(!accept_waiters_ready());  // not before it is set up
    accept_waiters_setup();
    REQUIRE(accept_waiters_own == nullptr);
    REQUIRE(accept_waiters_ready());
    accept_waiter* const own = accept_waiters_own;
    REQUIRE(own != nullptr);
    REQUIRE(accept_waiters_ready());
    REQUIRE(accept_waiters_own == own);
    accept_waiter* others[2] = {};
    for (accept_waiter*& other : others) {
      std::thread([&] {
        if (accept_waiters_ready()) other = accept_waiters_own;
      }).join();
    }
    REQUIRE(others[0] != nullptr);
    REQUIRE(others[0] != own);
    REQUIRE(others[1] == others[0]);  // free again
    REQUIRE(others[0]->thread == 0);
  }));
}

TEST_CASE("accept_waiters: one that no interrupt reaches must not block") {
  CHECK(in_child([] {
    const UnitWorker worker;
    accept_waiters_setup();
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
    REQUIRE(!accept_waiters_ready());
    ::sigemptyset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
    REQUIRE(accept_waiters_ready());
  }));
}

TEST_CASE("accept_waiters: accept() in the handler of a signal, in the middle of another one") {
  CHECK(in_child([] {
    const UnitWorker worker;
    accept_waiters_setup();
    REQUIRE(accept_waiters_ready());
    const int outside = accept_waiters_begin(7);
    REQUIRE(outside == NOT_ACCEPTING);
    const int outer = accept_waiters_begin(8);
    REQUIRE(outer == 7);
    accept_waiters_end(outer);
    REQUIRE(accept_waiters_own->fd == 7);
    accept_waiters_end(outside);
    REQUIRE(accept_waiters_own->fd == NOT_ACCEPTING);
  }));
}

TEST_CASE("accept_waiters: nobody is in accept(), or only the caller") {
  CHECK(in_child([] {
    const UnitWorker worker;
    accept_waiters_setup();
    REQUIRE(accept_waiters_wake_all());
    REQUIRE(accept_waiters_wake_at(5));
    REQUIRE(accept_waiters_ready());
    accept_waiters_begin(5);
    REQUIRE(accept_waiters_wake_all());
    REQUIRE(accept_waiters_wake_at(5));
  }));
}

TEST_CASE("accept_waiters: one that is in accept() is found, by descriptor and by flag, until it has left") {
  CHECK(in_child([] {
    const UnitWorker worker;
    accept_waiters_setup();
    const UniqueFd one = listen_inet(), other = listen_inet();
    fd_flags_set(one.get(), FLAG_HELD);
    {
      const Acceptor acceptor(one.get());
      REQUIRE(!accept_waiters_wake_all());
      REQUIRE(!accept_waiters_wake_at(one.get()));
      REQUIRE(!accept_waiters_wake_flagged(FLAG_HELD | FLAG_REVOKED));
      REQUIRE(accept_waiters_wake_at(other.get()));
      REQUIRE(accept_waiters_wake_flagged(FLAG_REVOKED));
      // Interrupted, it goes on where the descriptor is the same.
      REQUIRE(!acceptor.is_over());
      end_accept(one);
    }
    REQUIRE(accept_waiters_wake_all());
  }));
}

TEST_CASE("accept_waiters: interrupted, it accepts from what the descriptor has become") {
  CHECK(in_child([] {
    const UnitWorker worker;
    accept_waiters_setup();
    const UniqueFd fd = listen_inet(), by = listen_inet();
    REQUIRE(::fcntl(by.get(), F_SETFL, O_NONBLOCK) == 0);
    const Acceptor acceptor(fd.get());
    REQUIRE(::dup2(by.get(), fd.get()) == fd.get());
    REQUIRE(eventually([&] { return accept_waiters_wake_at(fd.get()); }));
    REQUIRE(eventually([&] { return acceptor.is_over(); }));
    REQUIRE(acceptor.error() == EAGAIN);
  }));
}

TEST_CASE("accept_waiters: a thread that is cancelled in accept() gives its place back") {
  CHECK(in_child([] {
    const UnitWorker worker;
    accept_waiters_setup();
    UniqueFd fd = listen_inet();
    std::atomic<bool> is_there = false;
    struct Place {
      int fd;
      std::atomic<bool>* is_there;
      accept_waiter* own;
    } place{fd.get(), &is_there, nullptr};
    pthread_t thread;
    REQUIRE(::pthread_create(
                &thread, nullptr,
                [](void* given) -> void* {
                  auto* const mine = static_cast<Place*>(given);
                  if (accept_waiters_ready()) accept_waiters_begin(mine->fd);
                  mine->own = accept_waiters_own;
                  *mine->is_there = true;
                  ::accept(mine->fd, nullptr, nullptr);
                  return nullptr;
                },
                &place) == 0);
    REQUIRE(eventually([&] { return is_there.load(); }));
    REQUIRE(::pthread_cancel(thread) == 0);
    REQUIRE(::pthread_join(thread, nullptr) == 0);
    REQUIRE(place.own != nullptr);
    REQUIRE(place.own->thread == 0);
    REQUIRE(accept_waiters_wake_all());
  }));
}

namespace {

// Whether `body`, in a thread of its own, waits until `release` has been called.
template <typename Body, typename Release>
void blocks_until(Body body, Release release) {
  std::atomic<bool> is_over = false;
  std::atomic<int> id = 0;
  std::thread thread([&] {
    id = ::gettid();
    body();
    is_over = true;
  });
  unsigned long argument = 0;
  const auto is_waiting = [&] {
    const long call = id != 0 ? proc_self_call(id, &argument) : long{SELF_CALL_RUNNING};
    return call == SYS_futex || call == SELF_CALL_UNKNOWN;
  };
  REQUIRE(eventually(is_waiting));
  REQUIRE(!is_over);
  release();
  thread.join();
}

}  // namespace

TEST_CASE("epoll_lock: many may share it, and who replaces waits for all of them") {
  CHECK(in_child([] {
    const UnitWorker worker;
    epoll_lock_share();
    std::thread([] {
      epoll_lock_share();
      epoll_lock_unshare();
    }).join();
    blocks_until(
        [] {
          epoll_lock_begin();
          epoll_lock_end();
        },
        epoll_lock_unshare);
  }));
}

TEST_CASE("epoll_lock: while it is replaced, registering, closing and duplicating wait") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd fd = listen_inet(), target = duplicate(fd);
    UniqueFd closed = duplicate(fd);
    epoll_lock_begin();
    blocks_until(
        [] {
          epoll_lock_share();
          epoll_lock_unshare();
        },
        epoll_lock_end);
    epoll_lock_begin();
    blocks_until([&] { epoll_lock_close(closed.release()); }, epoll_lock_end);
    epoll_lock_begin();
    blocks_until([&] { epoll_lock_dup(0, target.get(), -1); }, epoll_lock_end);
  }));
}

TEST_CASE("epoll_lock: closing and duplicating do what libc's do") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd fd = listen_inet();
    UniqueFd other = duplicate(fd);
    const int number = other.release();
    REQUIRE(epoll_lock_close(number) == 0);
    REQUIRE(!is_open(number));
    errno = 0;
    REQUIRE(epoll_lock_close(number) == -1);
    REQUIRE(errno == EBADF);
    REQUIRE(epoll_lock_dup(fd.get(), number, -1) == number);
    REQUIRE(::fcntl(number, F_GETFD) == 0);
    REQUIRE(epoll_lock_dup(fd.get(), number, O_CLOEXEC) == number);
    REQUIRE(::fcntl(number, F_GETFD) == FD_CLOEXEC);
    REQUIRE(epoll_lock_dup(fd.get(), number, 0) == number);
    REQUIRE(::fcntl(number, F_GETFD) == 0);
    errno = 0;
    REQUIRE(epoll_lock_dup(9999, number, -1) == -1);
    REQUIRE(errno == EBADF);
    errno = 0;
    REQUIRE(epoll_lock_dup(fd.get(), fd.get(), 0) == -1);
    REQUIRE(errno == EINVAL);
  }));
}

TEST_CASE("epoll_lock: a thread that holds it is not cancelled, and afterwards as it was") {
  CHECK(in_child([] {
    int state = -1;
    epoll_lock_begin();
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    REQUIRE(state == PTHREAD_CANCEL_DISABLE);
    epoll_lock_end();
    ::pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    REQUIRE(state == PTHREAD_CANCEL_ENABLE);
  }));
}

TEST_CASE("epoll_lock: in a child it is free, whoever had it") {
  epoll_lock_begin();
  CHECK(in_child([] {
    epoll_lock_in_child();
    epoll_lock_begin();
    epoll_lock_end();
  }));
  epoll_lock_end();
}
