#include "base/write_at_once.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/unique_fd.hpp"

using namespace liveswap;

namespace {

// Writes until a write fails with EAGAIN. A write that blocks would hang the test.
void fill(int fd) {
  const std::string bytes(4096, 'x');
  ssize_t taken = 0;
  for (int i = 0; i < 1000 && (taken = write_at_once(fd, bytes)) > 0; ++i) continue;
  CHECK(taken == -1);
  CHECK(errno == EAGAIN);
  CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
}

}  // namespace

TEST_CASE("a pipe that nobody reads is not waited for, and stays as its other writers know it") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  auto reader = UniqueFd::adopt(ends[0]);
  const auto writer = UniqueFd::adopt(ends[1]);
  CHECK(write_at_once(writer.get(), "hello") == 5);
  fill(writer.get());
}

TEST_CASE("a terminal that nobody reads is not waited for, nor one that takes a part") {
  const auto screen = UniqueFd::adopt(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(screen);
  REQUIRE(::grantpt(screen.get()) == 0);
  REQUIRE(::unlockpt(screen.get()) == 0);
  const auto terminal = UniqueFd::adopt(::open(::ptsname(screen.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal);
  fill(terminal.get());
  // A little room again: poll() reports the terminal as writable, but not all bytes fit.
  char bytes[2048];
  REQUIRE(::read(screen.get(), bytes, sizeof bytes) > 0);
  fill(terminal.get());
  // Output is stopped, as by ^S.
  const auto other = UniqueFd::adopt(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(::grantpt(other.get()) == 0);
  REQUIRE(::unlockpt(other.get()) == 0);
  const auto stopped = UniqueFd::adopt(::open(::ptsname(other.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(::tcflow(stopped.get(), TCOOFF) == 0);
  CHECK(write_at_once(stopped.get(), "hello") == -1);
  CHECK(errno == EAGAIN);
}

TEST_CASE("what cannot be written says why") {
  CHECK(write_at_once(-1, "hello") == -1);
  CHECK(errno == EBADF);
  const auto full = UniqueFd::adopt(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  CHECK(write_at_once(full.get(), "hello") == -1);
  CHECK(errno == ENOSPC);
}

TEST_CASE("a file goes on where it was") {
  char name[] = "/tmp/liveswap-write-XXXXXX";
  const auto file = UniqueFd::adopt(::mkstemp(name));
  REQUIRE(file);
  ::unlink(name);
  CHECK(write_at_once(file.get(), "one ") == 4);
  CHECK(write_at_once(file.get(), "two") == 3);
  char bytes[16] = "";
  CHECK(::pread(file.get(), bytes, sizeof bytes, 0) == 7);
  CHECK(std::string(bytes) == "one two");
}
