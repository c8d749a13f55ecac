// Closing a descriptor that a worker has sent does not block the master.
#include "spawn/received_fd.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>

#include "app_listeners_fixture.hpp"

using namespace liveswap;
using namespace liveswap::test;
using spawn::ReceivedFd;

namespace {

// A connection on which close() takes 30 s, and its other end, which reads nothing.
struct Lingering {
  UniqueFd ours, theirs;
  std::size_t sent = 0;

  Lingering() {
    const auto any = Where::v4(0);
    const auto listener = socket_for(any);
    REQUIRE(::bind(listener.get(), any.get(), any.size) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    theirs = connect_to(Where::v4(port_of(listener.get())));
    ours = accept_from(listener.get());
    REQUIRE(ours);
    static char bytes[65536];
    for (ssize_t done; (done = ::send(ours.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
      sent += static_cast<std::size_t>(done);
    const linger patient{1, 30};
    REQUIRE(::setsockopt(ours.get(), SOL_SOCKET, SO_LINGER, &patient, sizeof patient) == 0);
  }
  std::size_t received() const {
    static char bytes[65536];
    std::size_t count = 0;
    for (ssize_t done; (done = ::recv(theirs.get(), bytes, sizeof bytes, 0)) > 0;)
      count += static_cast<std::size_t>(done);
    return count;
  }
};

template <class Work>
bool is_quick(const Work& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::steady_clock::now() - began < std::chrono::seconds(5);
}

}  // namespace

TEST_CASE("received: a close() waits for no unsent data, and loses none") {
  Lingering one;
  CHECK(is_quick([&] { const spawn::ReceivedFd closed(std::move(one.ours)); }));
  CHECK(one.received() == one.sent);
}

TEST_CASE("received: nor one of what lies in a Unix socket's queue") {
  Lingering one;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  auto first = UniqueFd::adopt(ends[0]);
  const auto second = UniqueFd::adopt(ends[1]);
  iovec part{const_cast<char*>("x"), 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  *rights = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  const int fd = one.ours.get();
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  REQUIRE(::sendmsg(second.get(), &message, 0) == 1);
  // A shorter time: the closing thread waits that long, and the tests wait for the thread.
  const linger patient{1, 8};
  REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &patient, sizeof patient) == 0);
  one.ours.release();
  REQUIRE(::close(fd) == 0);
  CHECK(is_quick([&] { const spawn::ReceivedFd closed(std::move(first)); }));
}

TEST_CASE("received: what is no socket is closed as well") {
  int ends[2];
  const auto before = open_descriptors();
  for (int i = 0; i < 200; ++i) {
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const spawn::ReceivedFd one(UniqueFd::adopt(ends[0]));
    spawn::ReceivedFd other;
    other = UniqueFd::adopt(ends[1]);
  }
  CHECK(has_no_more_than(before));
  CHECK_FALSE(spawn::is_discarding_too_many());
}
