// close, shutdown, dup and syscall on descriptors that the master or the worker host has a part in
// (interpose/descriptors.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <linux/close_range.h>
#include <sys/syscall.h>
#include <sys/uio.h>

extern "C" {
#include "worker/interpose/event_loop.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/epoll_lock.h"
#include "worker/takeover/revoke.h"
#include "worker/takeover/traffic.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

std::string bytes_of(std::uint64_t cookie) {
  return std::string(reinterpret_cast<const char*>(&cookie), sizeof cookie);
}

// What the master was told of the listeners: their cookies.
std::vector<std::string> unlistened(const HostedWorker& worker) {
  std::vector<std::string> found;
  while (const auto frame = worker.receive())
    if (frame->kind == LIVESWAP_UNLISTEN) found.push_back(frame->text);
  return found;
}

using Told = std::vector<std::string>;

bool fails_with(int error, int result) { return result == -1 && errno == error; }

// Descriptors of the worker host, and others.
struct Mixed {
  static constexpr int FIRST = 500, LAST = 509;
  Mixed() {
    for (int fd = FIRST; fd <= LAST; ++fd) REQUIRE(libc.dup2(0, fd) == fd);
    for (const int fd : {FIRST, 504, 505}) fd_flags_set(fd, FLAG_HOST);
    fd_flags_set(507, FLAG_OWN);
  }
  static std::vector<int> open() {
    std::vector<int> found;
    for (int fd = FIRST; fd <= LAST; ++fd)
      if (is_open(fd)) found.push_back(fd);
    return found;
  }
};

}  // namespace

TEST_CASE("close: the worker host's descriptors are not the application's to close") {
  CHECK(in_child([] {
    const HostedWorker worker;
    errno = 0;
    REQUIRE(fails_with(EBADF, ::close(LIVESWAP_FD_CHANNEL)));
    REQUIRE(is_open(LIVESWAP_FD_CHANNEL));
    REQUIRE(fails_with(EBADF, ::close(-1)));
    UniqueFd own = duplicate(UniqueFd::adopt(libc.dup(0)));
    fd_flags_set(own.get(), FLAG_OWN);
    const int number = own.release();
    REQUIRE(::close(number) == 0);
    REQUIRE(fd_flags(number) == 0);
    REQUIRE(!is_open(number));
  }));
}

TEST_CASE("close: the master is told when the last descriptor of a listener is closed") {
  CHECK(in_child([] {
    const HostedWorker worker;
    Held held;
    UniqueFd copy = UniqueFd::adopt(::dup(held.fd.get()));
    const int number = held.fd.get();
    held.fd.reset();
    REQUIRE(fd_flags(number) == 0);
    REQUIRE(unlistened(worker).empty());
    copy.reset();
    REQUIRE(unlistened(worker) == Told{bytes_of(held.cookie)});
    REQUIRE(held.entry->closed);
    REQUIRE(!listeners_expected());
  }));
}

TEST_CASE("close: a listener leaves the application's epolls, though the master has the socket open") {
  CHECK(in_child([] {
    const HostedWorker worker;
    Held held;
    const UniqueFd epoll = make_epoll(), copy = duplicate(held.fd);
    watch(epoll, held.fd.get(), 4);
    held.fd.reset();
    const UniqueFd client = connect_to(copy);
    REQUIRE(reported(epoll).empty());
  }));
}

TEST_CASE("close: a thread in accept() with the descriptor takes no more connection") {
  CHECK(in_child([] {
    const HostedWorker worker;
    Held held(FLAG_BLOCKING);
    Caller caller([fd = held.fd.get()] { return ::accept(fd, nullptr, nullptr); });
    caller.await(SYS_accept);
    held.fd.reset();
    REQUIRE(caller.result() == -1);
    REQUIRE(caller.error() == EBADF);
  }));
}

TEST_CASE("close: connections of the predecessor that wait at a closed listener go back") {
  CHECK(in_child([] {
    const HostedWorker worker;
    Held held;
    adopted_begin();
    adopted_listener(held.entry);
    const UniqueFd client = connect_to(held.fd);
    adopted_put(held.cookie, libc.accept(held.fd.get(), nullptr, nullptr), 0);
    held.fd.reset();
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_HANDOFF, LIVESWAP_UNLISTEN});
  }));
}

TEST_CASE("close: during a drain, and in a vfork()ed child, the master is not told") {
  CHECK(in_child([] {
    const HostedWorker worker;
    Held held;
    revoke_listeners();
    held.fd.reset();
    REQUIRE(unlistened(worker).empty());
    const Held other;
    const pid_t child = ::vfork();
    if (child == 0) {
      ::close(other.fd.get());
      libc._exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(fd_flags(other.fd.get()) == FLAG_HELD);  // the child has run in this memory
    REQUIRE(is_open(other.fd.get()));
    REQUIRE(unlistened(worker).empty());
  }));
}

TEST_CASE("close: a lent listener is missed only if the application had waited at it") {
  for (const bool has_waited : {false, true}) {
    CAPTURE(has_waited);
    CHECK(in_child([has_waited] {
      REQUIRE(libc.dup2(masters_listener().get(), LIVESWAP_FD_LISTENERS) == LIVESWAP_FD_LISTENERS);
      const HostedWorker worker;
      char names[] = "web";
      REQUIRE(listeners_adopt(names));
      readiness_enter(false);
      if (has_waited) REQUIRE(::accept(LIVESWAP_FD_LISTENERS, nullptr, nullptr) == -1);
      REQUIRE(::close(LIVESWAP_FD_LISTENERS) == 0);
      REQUIRE(unlistened(worker).size() == (has_waited ? 1 : 0));
    }));
  }
}

TEST_CASE("close: a connection that is being replaced is closed after the replacement") {
  CHECK(in_child([] {
    const HostedWorker worker;
    UniqueFd connection = make_socket();
    fd_flags_set(connection.get(), FLAG_HANDOFF);
    epoll_lock_begin();
    Caller caller([fd = connection.release()] { return ::close(fd); });
    caller.await(SYS_futex);
    REQUIRE(!caller.is_over());
    epoll_lock_end();
    REQUIRE(caller.result() == 0);
  }));
}

TEST_CASE("close: the newest connection of a thread is no longer looked for") {
  CHECK(in_child([] {
    const HostedWorker worker;
    UniqueFd connection = make_socket();
    event_loop_accepts(connection.get());
    connection.reset();
    REQUIRE(event_loop_newest == -1);
  }));
}

TEST_CASE("close_range: all but the worker host's descriptors are closed") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Mixed mixed;
    REQUIRE(::close_range(Mixed::FIRST, 502, 0) == 0);
    REQUIRE(Mixed::open() == std::vector<int>{500, 503, 504, 505, 506, 507, 508, 509});
    REQUIRE(::close_range(506, 506, 0) == 0);
    REQUIRE(::close_range(504, 507, CLOSE_RANGE_UNSHARE) == 0);
    REQUIRE(Mixed::open() == std::vector<int>{500, 503, 504, 505, 508, 509});
    REQUIRE(fd_flags(507) == 0);
    REQUIRE(fails_with(EINVAL, ::close_range(9, 8, 0)));
    // Nothing is closed now: what is flagged may get the flag too.
    REQUIRE(::close_range(508, 509, CLOSE_RANGE_CLOEXEC) == 0);
    REQUIRE(libc.fcntl(508, F_GETFD) == FD_CLOEXEC);
    ::closefrom(505);
    REQUIRE(Mixed::open() == std::vector<int>{500, 503, 504, 505});
  }));
}

TEST_CASE("closefrom: a listener in the range is closed like by close()") {
  CHECK(in_child([] {
    const HostedWorker worker;
    Held held;
    REQUIRE(libc.dup2(held.fd.get(), 600) == 600);
    fd_flags_set(600, FLAG_HELD);
    libc.close(held.fd.release());
    ::closefrom(590);
    REQUIRE(!is_open(600));
    REQUIRE(unlistened(worker) == Told{bytes_of(held.cookie)});
  }));
}

TEST_CASE("shutdown: a listener is shut down for this application only") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING);
    Caller caller([&] { return ::accept(held.fd.get(), nullptr, nullptr); });
    caller.await(SYS_accept);
    REQUIRE(::shutdown(held.fd.get(), SHUT_RDWR) == 0);
    REQUIRE(is_placeholder(held.fd.get()));
    REQUIRE(unlistened(worker) == Told{bytes_of(held.cookie)});
    REQUIRE(eventually([&] {
      accept_waiters_wake_at(held.fd.get());  // as the control thread
      return caller.is_over();
    }));
    REQUIRE(caller.error() == EINVAL);
    const UniqueFd masters = held.masters(), client = connect_to(masters);
    REQUIRE(UniqueFd::adopt(libc.accept(masters.get(), nullptr, nullptr)));
  }));
}

TEST_CASE("shutdown: what is no listener is libc's affair, and a child's copy stays") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    const UniqueFd bound = make_socket(), client = connect_to(held.fd);
    REQUIRE(::shutdown(client.get(), SHUT_WR) == 0);
    const sockaddr_in address = loopback();
    REQUIRE(libc.bind(bound.get(), generic(address), sizeof address) == 0);
    hold(bound);
    errno = 0;
    REQUIRE(fails_with(ENOTCONN, ::shutdown(bound.get(), SHUT_RD)));
    REQUIRE(fails_with(EBADF, ::shutdown(-1, SHUT_RD)));
    REQUIRE(in_child([&] { REQUIRE(::shutdown(held.fd.get(), SHUT_RDWR) == 0); }));
    const UniqueFd more = connect_to(held.fd);
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_FORKED});
  }));
}

TEST_CASE("shutdown: a listener that cannot be replaced is not shut down at all") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    {
      const NoMoreDescriptors full;
      errno = 0;
      REQUIRE(fails_with(ENOBUFS, ::shutdown(held.fd.get(), SHUT_RDWR)));
    }
    const UniqueFd client = connect_to(held.fd);
    REQUIRE(fd_flags(held.fd.get()) == FLAG_HELD);
  }));
}

TEST_CASE("dup: a copy is known for what it is") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_POLLED);
    const UniqueFd plain = UniqueFd::adopt(::dup(held.fd.get()));
    REQUIRE(fd_flags(plain.get()) == fd_flags(held.fd.get()));
    REQUIRE(::dup2(held.fd.get(), 700) == 700);
    REQUIRE(::dup3(held.fd.get(), 701, O_CLOEXEC) == 701);
    REQUIRE(fd_flags(700) == fd_flags(held.fd.get()));
    REQUIRE(fd_flags(701) == fd_flags(held.fd.get()));
    REQUIRE(libc.fcntl(701, F_GETFD) == FD_CLOEXEC);
    REQUIRE(fd_flags(::dup(LIVESWAP_FD_CHANNEL)) == 0);  // a copy of the host's is the application's
    // What the number was before is forgotten.
    REQUIRE(::dup2(0, 700) == 700);
    REQUIRE(fd_flags(700) == 0);
    REQUIRE(unlistened(worker).empty());
    REQUIRE(fails_with(EBADF, ::dup(-1)));
  }));
}

TEST_CASE("dup2: onto the worker host's descriptors is refused; a failure changes nothing") {
  CHECK(in_child([] {
    const HostedWorker worker;
    Held held;
    const UniqueFd epoll = make_epoll();
    watch(epoll, held.fd.get(), 6);
    errno = 0;
    REQUIRE(fails_with(EBUSY, ::dup2(0, LIVESWAP_FD_CHANNEL)));
    REQUIRE(fails_with(EBUSY, ::dup3(0, LIVESWAP_FD_CHANNEL, 0)));
    REQUIRE(fails_with(EBADF, ::dup2(4711, held.fd.get())));
    REQUIRE(fails_with(EINVAL, ::dup3(0, held.fd.get(), O_NONBLOCK)));
    REQUIRE(fails_with(EINVAL, ::dup3(0, 0, 0)));
    REQUIRE(::dup2(held.fd.get(), held.fd.get()) == held.fd.get());
    REQUIRE((fd_flags(held.fd.get()) & FLAG_HELD) != 0);
    const UniqueFd client = connect_to(held.fd);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{6});
    REQUIRE(unlistened(worker).empty());
  }));
}

TEST_CASE("dup2: onto a listener is like close()") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    const UniqueFd epoll = make_epoll();
    watch(epoll, held.fd.get(), 6);
    REQUIRE(::dup2(0, held.fd.get()) == held.fd.get());
    REQUIRE(fd_flags(held.fd.get()) == 0);
    REQUIRE(unlistened(worker) == Told{bytes_of(held.cookie)});
    const UniqueFd masters = held.masters(), client = connect_to(masters);
    REQUIRE(reported(epoll).empty());
  }));
}

TEST_CASE("dup: a copy of a connection that is being replaced is not itself being replaced") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd connection = make_socket();
    fd_flags_set(connection.get(), FLAG_HANDOFF);
    const UniqueFd plain = UniqueFd::adopt(::dup(connection.get())),
                   by_fcntl = UniqueFd::adopt(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
    REQUIRE(::dup2(connection.get(), 700) == 700);
    for (const int copy : {plain.get(), by_fcntl.get(), 700}) REQUIRE(fd_flags(copy) == 0);
    fd_flags_set(connection.get(), 0);
  }));
}

TEST_CASE("dup: a vfork()ed child's copies are not this process's") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    enum { FIRST = 900, SECOND, THIRD };
    for (int fd = FIRST; fd <= THIRD; ++fd) fd_flags_set(fd, FLAG_OWN);
    const pid_t child = ::vfork();
    if (child == 0) {
      ::dup2(held.fd.get(), FIRST);
      ::fcntl(held.fd.get(), F_DUPFD, SECOND);
      ::fcntl(held.fd.get(), F_DUPFD_CLOEXEC, THIRD);
      libc._exit(0);
    }
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    for (int fd = FIRST; fd <= THIRD; ++fd) REQUIRE(fd_flags(fd) == FLAG_OWN);
  }));
}

TEST_CASE("syscall: what libraries call by number is seen like what they call by name") {
  CHECK(in_child([] {
    const HostedWorker worker;
    errno = 0;
    REQUIRE(::syscall(SYS_close, LIVESWAP_FD_CHANNEL) == -1);
    REQUIRE(errno == EBADF);
    REQUIRE(::syscall(SYS_getpid) == ::getpid());
    Held held;
    end_blocking(held.fd);
    adopted_begin();
    adopted_listener(held.entry);
    for (const long number : {long{SYS_accept}, long{SYS_accept4}}) {
      const UniqueFd client = connect_to(held.fd);
      adopted_put(held.cookie, libc.accept(held.fd.get(), nullptr, nullptr), 0);
      REQUIRE(UniqueFd::adopt(static_cast<int>(::syscall(number, held.fd.get(), nullptr, nullptr, 0))));
    }
    REQUIRE(::syscall(SYS_shutdown, held.fd.get(), SHUT_RD) == 0);
    REQUIRE(is_placeholder(held.fd.get()));
    const UniqueFd socket = make_socket();
    const sockaddr_in address = loopback();
    FakeMaster master(worker);
    REQUIRE(::syscall(SYS_bind, socket.get(), &address, sizeof address) == 0);
    REQUIRE(::syscall(SYS_listen, socket.get(), 5) == 0);
    REQUIRE(master.first(LIVESWAP_LISTEN).count == 5);
  }));
}

TEST_CASE("syscall: sending and receiving by number is followed") {
  using Call = std::function<long(int fd, std::string& text, iovec* part, msghdr* message)>;
  const Call sending[] = {
      [](int fd, std::string& text, iovec*, msghdr*) {
        return ::syscall(SYS_write, fd, text.data(), text.size());
      },
      [](int fd, std::string&, iovec* part, msghdr*) { return ::syscall(SYS_writev, fd, part, 1); },
      [](int fd, std::string& text, iovec*, msghdr*) {
        return ::syscall(SYS_sendto, fd, text.data(), text.size(), 0, nullptr, 0);
      },
      [](int fd, std::string&, iovec*, msghdr* message) { return ::syscall(SYS_sendmsg, fd, message, 0); },
  };
  const Call receiving[] = {
      [](int fd, std::string& text, iovec*, msghdr*) {
        return ::syscall(SYS_read, fd, text.data(), text.size());
      },
      [](int fd, std::string&, iovec* part, msghdr*) { return ::syscall(SYS_readv, fd, part, 1); },
      [](int fd, std::string& text, iovec*, msghdr*) {
        return ::syscall(SYS_recvfrom, fd, text.data(), text.size(), 0, nullptr, nullptr);
      },
      [](int fd, std::string&, iovec*, msghdr* message) { return ::syscall(SYS_recvmsg, fd, message, 0); },
  };
  CHECK(in_child([&] {
    const HostedWorker worker;
    const UniqueFd listener = masters_listener(), client = connect_to(listener);
    const UniqueFd connection = UniqueFd::adopt(libc.accept(listener.get(), nullptr, nullptr));
    const int fd = connection.get();
    std::uint64_t sent = 0;
    for (int i = 0; i < 4; ++i) {
      CAPTURE(i);
      std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", request(64, ' ');
      iovec out{answer.data(), answer.size()}, in{request.data(), request.size()};
      msghdr sends{}, receives{};
      sends.msg_iov = &out, sends.msg_iovlen = 1, receives.msg_iov = &in, receives.msg_iovlen = 1;
      if (i == 0) traffic_accepted(fd);
      REQUIRE(sending[i](fd, answer, &out, &sends) == static_cast<long>(answer.size()));
      REQUIRE(traffic_noted(fd) == (sent += answer.size()));
      REQUIRE(traffic_answer(fd, nullptr) == ANSWER_COMPLETE);
      REQUIRE(libc.send(client.get(), "GET / HTTP/1.1\r\n", 16, 0) == 16);
      REQUIRE(receiving[i](fd, request, &in, &receives) == 16);
      REQUIRE(traffic_answer(fd, nullptr) == ANSWER_UNFINISHED);
    }
  }));
}

TEST_CASE("syscall: before a filter or a ring the control thread stays") {
  for (const long number : {long{SYS_seccomp}, long{SYS_io_uring_setup}}) {
    CHECK(in_child([number] {
      const HostedWorker worker;
      REQUIRE(control_thread_looks_for_loop());
      REQUIRE(::syscall(number, -1, 0, nullptr) == -1);
      REQUIRE(!control_thread_looks_for_loop());
    }));
  }
}
