// What the kernel tells of a socket (base/socket.h); and libc's own functions by pointer (base/libc.h).
#include "../host_headers.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "base/unique_fd.hpp"

extern "C" {
#include "worker/base/libc.h"
#include "worker/base/socket.h"
}

using liveswap::UniqueFd;

namespace {

UniqueFd tcp() { return UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

void set_limit(int fd, timeval limit) {
  REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
}

bool is_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

// Other libraries call into libc before main(): by then the table has to be there.
const bool was_set_up_first = libc.close != nullptr && libc.setsid != nullptr;

}  // namespace

TEST_CASE("socket: the cookie is that of every duplicate, and of no other socket") {
  const UniqueFd one = tcp(), other = tcp();
  const UniqueFd duplicate = UniqueFd::adopt(::dup(one.get()));
  std::uint64_t cookies[3] = {};
  CHECK(socket_cookie(one.get(), &cookies[0]));
  CHECK(socket_cookie(duplicate.get(), &cookies[1]));
  CHECK(socket_cookie(other.get(), &cookies[2]));
  CHECK(cookies[0] != 0);
  CHECK(cookies[0] == cookies[1]);
  CHECK(cookies[0] != cookies[2]);
}

TEST_CASE("socket: what is no socket has no cookie, does not listen and has no limit") {
  const UniqueFd file = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::uint64_t cookie = 5;
  for (const int fd : {file.get(), -1, INT_MAX}) {
    CHECK(!socket_cookie(fd, &cookie));
    CHECK(!socket_listens(fd));
    CHECK(socket_receive_limit(fd) == -1);
  }
}

TEST_CASE("socket: an option that is a number; -1 where there is none") {
  const UniqueFd fd = tcp();
  CHECK(socket_option(fd.get(), SO_DOMAIN) == AF_INET);
  CHECK(socket_option(fd.get(), SO_TYPE) == SOCK_STREAM);
  CHECK(socket_option(fd.get(), 9999) == -1);
  for (const int none : {0, -1}) CHECK(socket_option(none, SO_TYPE) == -1);
}

TEST_CASE("socket: it listens after listen()") {
  const UniqueFd fd = tcp();
  CHECK(!socket_listens(fd.get()));
  REQUIRE(::listen(fd.get(), 1) == 0);
  CHECK(socket_listens(fd.get()));
  const UniqueFd datagrams = UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  CHECK(!socket_listens(datagrams.get()));
}

TEST_CASE("socket: it does not block any more, for its duplicates too, and other flags stay") {
  const UniqueFd fd = tcp();
  const UniqueFd duplicate = UniqueFd::adopt(::dup(fd.get()));
  REQUIRE(::fcntl(fd.get(), F_SETFL, O_ASYNC) == 0);
  CHECK(is_blocking(fd.get()));
  errno = ENOTTY;
  socket_end_blocking(fd.get());
  CHECK(errno == ENOTTY);
  CHECK(!is_blocking(fd.get()));
  CHECK(!is_blocking(duplicate.get()));
  CHECK((::fcntl(fd.get(), F_GETFL) & O_ASYNC) != 0);
  socket_end_blocking(fd.get());
  CHECK(!is_blocking(fd.get()));
}

TEST_CASE("socket: ending the blocking of what is closed keeps errno") {
  errno = ENOTTY;
  socket_end_blocking(-1);
  CHECK(errno == ENOTTY);
}

TEST_CASE("socket: the limit of a wait, in ms") {
  const UniqueFd fd = tcp();
  CHECK(socket_receive_limit(fd.get()) == -1);
  set_limit(fd.get(), {1, 500'000});
  CHECK(socket_receive_limit(fd.get()) == 1500);
  set_limit(fd.get(), {0, 20'000});
  CHECK(socket_receive_limit(fd.get()) == 20);
  set_limit(fd.get(), {INT_MAX / 1000 + 10L, 0});
  CHECK(socket_receive_limit(fd.get()) == INT_MAX);
  set_limit(fd.get(), {0, 0});
  CHECK(socket_receive_limit(fd.get()) == -1);
}

TEST_CASE("libc: all functions have been found before anything of the process ran") {
  CHECK(was_set_up_first);
  const struct ::libc before = libc;
  std::memset(&libc, 0, sizeof libc);
  CHECK(libc_setup());
  CHECK(std::memcmp(&before, &libc, sizeof libc) == 0);
  // They are pointers without a gap: each of them, whatever is added.
  const auto* each = reinterpret_cast<void* const*>(&libc);
  int missing = 0, count = 0;
  for (; each + count < reinterpret_cast<void* const*>(&libc.signal + 1); ++count)
    missing += each[count] == nullptr;
  CHECK(count > 50);
  CHECK(missing == 0);
}

TEST_CASE("libc: they are libc's") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  CHECK(libc.write(ends[1], "x", 1) == 1);
  char byte = 0;
  CHECK(libc.read(ends[0], &byte, 1) == 1);
  CHECK(byte == 'x');
  CHECK((libc.fcntl(ends[0], F_GETFD) & FD_CLOEXEC) != 0);
  const int copy = libc.dup(ends[0]);
  CHECK(copy > ends[0]);
  for (const int fd : {copy, ends[0], ends[1]}) CHECK(libc.close(fd) == 0);
}
