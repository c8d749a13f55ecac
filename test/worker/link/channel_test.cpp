// The worker's end of the channel (link/channel.h): frames out and in, and a master that does not read or is
// gone.
#include "../fake_clock.hpp"
#include "../host_headers.hpp"
#include "../in_child.hpp"
#include "../master_end.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <thread>

extern "C" {
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

enum { KIND = LIVESWAP_MESSAGE };

UniqueFd null_device() { return UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

std::set<int> open_descriptors() {
  std::set<int> found;
  for (int fd = 0; fd < 1024; ++fd)
    if (is_open(fd)) found.insert(fd);
  return found;
}

// What channel_receive() makes of the next packet.
struct Incoming {
  liveswap_frame frame{};
  std::string text = std::string(LIVESWAP_TEXT_MAX, '?');
  std::size_t size = 0;
  int fd = -3;
  channel_receipt receipt = channel_receive(&frame, text.data(), &size, &fd);
  std::string said() const { return text.substr(0, size); }
  UniqueFd owned{UniqueFd::adopt(fd)};
};

int fill() {
  int sent = 0;
  while (channel_try_send({.kind = KIND, .value = sent}, std::string(1000, 'x').data(), 1000)) ++sent;
  return sent;
}

int waits = 0;

// As if nobody read for as long as poll() was to wait.
int wait_in_vain(pollfd* fds, nfds_t count, int timeout) {
  CHECK(count == 1);
  CHECK(fds->events == POLLOUT);
  ++waits;
  move_clock(timeout);
  return 0;
}

}  // namespace

TEST_CASE("channel: what no master has put there is none") {
  MasterEnd stream(SOCK_STREAM);
  CHECK(!stream.adopt());
  MasterEnd datagrams(SOCK_DGRAM);
  CHECK(!datagrams.adopt());
  REQUIRE(::dup2(null_device().get(), LIVESWAP_FD_CHANNEL) == LIVESWAP_FD_CHANNEL);
  CHECK(!channel_adopt());
  ::close(LIVESWAP_FD_CHANNEL);
  CHECK(!channel_adopt());
  CHECK(channel_fd() == -1);
}

TEST_CASE("channel: what is taken over is the host's, and closed on exec") {
  MasterEnd master;
  REQUIRE(master.adopt());
  CHECK(channel_fd() == LIVESWAP_FD_CHANNEL);
  for (const int fd : {int{LIVESWAP_FD_CHANNEL}, int{LIVESWAP_FD_LIFE}}) {
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(fd_flags(fd) == FLAG_HOST);
  }
}

TEST_CASE("channel: a frame out, with text and without") {
  MasterEnd master;
  REQUIRE(master.adopt());
  CHECK(channel_try_send({.kind = KIND, .value = -5, .count = 1ULL << 40}, "text", 4));
  CHECK(channel_try_send({.kind = KIND}, nullptr, 0));
  channel_send_value(LIVESWAP_RETURNED, 7);
  const auto first = master.receive(), second = master.receive(), third = master.receive();
  REQUIRE(third.has_value());
  CHECK(first->kind == KIND);
  CHECK(first->value == -5);
  CHECK(first->count == 1ULL << 40);
  CHECK(first->text == "text");
  CHECK(!first->fd);
  CHECK(second->text.empty());
  CHECK(third->kind == LIVESWAP_RETURNED);
  CHECK(third->value == 7);
  CHECK(third->count == 0);
  CHECK(!master.receive().has_value());
}

TEST_CASE("channel: the longest text, whole") {
  MasterEnd master;
  REQUIRE(master.adopt());
  const std::string text(LIVESWAP_TEXT_MAX, 'a');
  CHECK(channel_send({.kind = KIND}, text.data(), text.size()));
  CHECK(master.receive()->text == text);
}

TEST_CASE("channel: a descriptor out is borrowed") {
  MasterEnd master;
  REQUIRE(master.adopt());
  const UniqueFd fd = null_device();
  CHECK(channel_try_send_with({.kind = KIND}, "x", 1, fd.get()));
  CHECK(channel_send_with({.kind = KIND}, nullptr, 0, fd.get()));
  CHECK(channel_send_with({.kind = KIND}, nullptr, 0, -1));
  CHECK(is_open(fd.get()));
  struct stat mine {
  }, theirs{};
  ::fstat(fd.get(), &mine);
  for (int i = 0; i < 2; ++i) {
    const auto received = master.receive();
    REQUIRE(received->fd);
    ::fstat(received->fd.get(), &theirs);
    CHECK(mine.st_rdev == theirs.st_rdev);
  }
  CHECK(!master.receive()->fd);
}

TEST_CASE("channel: a descriptor that is none is an error, not a master that does not read") {
  MasterEnd master;
  REQUIRE(master.adopt());
  CHECK(!channel_try_send_with({.kind = KIND}, nullptr, 0, 9999));
  CHECK(errno == EBADF);
  CHECK(!channel_is_only_full());
  CHECK(!channel_send_with({.kind = KIND}, nullptr, 0, 9999));
  CHECK(!master.receive().has_value());
}

TEST_CASE("channel: full, and the master reads: all that was sent arrives, in its order") {
  MasterEnd master;
  REQUIRE(master.adopt());
  const int sent = fill();
  CHECK(channel_is_only_full());
  REQUIRE(sent > 10);
  for (int i = 0; i < sent; ++i) {
    const auto received = master.receive();
    REQUIRE(received.has_value());
    REQUIRE(received->value == i);
    REQUIRE(received->text.size() == 1000);
  }
  CHECK(!master.receive().has_value());
  CHECK(channel_try_send({.kind = KIND}, nullptr, 0));
}

TEST_CASE("channel: a frame that must not be missed waits for room") {
  MasterEnd master;
  REQUIRE(master.adopt());
  const int sent = fill();
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    for (int i = 0; i < sent; ++i) CHECK(master.receive().has_value());
  });
  CHECK(channel_send({.kind = LIVESWAP_READY}, nullptr, 0));
  reader.join();
  CHECK(master.receive()->kind == LIVESWAP_READY);
}

TEST_CASE("channel: it waits for 5 s at the most") {
  const ClockIsMoved moved;
  MasterEnd master;
  REQUIRE(master.adopt());
  fill();
  const auto poll = libc.poll;
  libc.poll = wait_in_vain;
  waits = 0;
  const std::int64_t began = clock_ms();
  CHECK(!channel_send({.kind = LIVESWAP_READY}, nullptr, 0));
  const std::int64_t took = clock_ms() - began;
  libc.poll = poll;
  CHECK(channel_is_only_full());
  CHECK(waits > 10);
  CHECK(took >= 5000);
  CHECK(took < 8000);
}

TEST_CASE("channel: a master that is gone kills nobody and is waited for by nobody") {
  MasterEnd master;
  REQUIRE(master.adopt());
  master.die();
  const auto poll = libc.poll;
  libc.poll = wait_in_vain;
  waits = 0;
  CHECK(!channel_try_send({.kind = KIND}, nullptr, 0));
  CHECK(errno == EPIPE);
  CHECK(!channel_is_only_full());
  CHECK(!channel_send({.kind = KIND}, nullptr, 0));
  channel_send_value(LIVESWAP_READY, 0);
  libc.poll = poll;
  CHECK(waits == 0);
  CHECK(Incoming().receipt == CHANNEL_GONE);
}

TEST_CASE("channel: which failures are only a lack of room") {
  for (const int error : {EAGAIN, ENOBUFS, ETOOMANYREFS}) {
    errno = error;
    CHECK(channel_is_only_full());
  }
  for (const int error : {EPIPE, EBADF, ECONNRESET, EMSGSIZE, 0}) {
    errno = error;
    CHECK(!channel_is_only_full());
  }
}

TEST_CASE("channel: frames in") {
  MasterEnd master;
  REQUIRE(master.adopt());
  CHECK(Incoming().receipt == CHANNEL_NOTHING);
  master.send({.kind = LIVESWAP_DRAIN, .value = -1, .count = 1});
  master.send({.kind = LIVESWAP_MESSAGE, .value = 3}, std::string("with\0NUL", 8));
  master.send({.kind = 4711}, std::string(LIVESWAP_TEXT_MAX, 'b'));
  const Incoming drain, message, unknown;
  CHECK(drain.receipt == CHANNEL_FRAME);
  CHECK(drain.frame.kind == LIVESWAP_DRAIN);
  CHECK(drain.frame.value == -1);
  CHECK(drain.frame.count == 1);
  CHECK(drain.size == 0);
  CHECK(drain.fd == -1);
  CHECK(message.said() == std::string("with\0NUL", 8));
  // Which kinds there are is for who serves them.
  CHECK(unknown.receipt == CHANNEL_FRAME);
  CHECK(unknown.frame.kind == 4711);
  CHECK(unknown.said() == std::string(LIVESWAP_TEXT_MAX, 'b'));
  CHECK(Incoming().receipt == CHANNEL_NOTHING);
}

TEST_CASE("channel: what is too short or too long is passed over, and what came with it closed") {
  MasterEnd master;
  REQUIRE(master.adopt());
  const UniqueFd fd = null_device();
  const std::set<int> before = open_descriptors();
  const std::string frame(sizeof(liveswap_frame), '\0');
  for (const std::string& bytes :
       {std::string("x"), frame.substr(1), frame + std::string(LIVESWAP_TEXT_MAX + 1, 'c')}) {
    CAPTURE(bytes.size());
    master.send_bytes(bytes);
    CHECK(Incoming().receipt == CHANNEL_NOTHING);
    master.send_bytes(bytes, {fd.get()});
    const Incoming incoming;
    CHECK(incoming.receipt == CHANNEL_NOTHING);
    CHECK(incoming.fd == -1);
  }
  CHECK(open_descriptors() == before);
  master.send({.kind = KIND}, "next");
  CHECK(Incoming().said() == "next");
}

TEST_CASE("channel: a descriptor in belongs to the receiver, and is closed on exec") {
  MasterEnd master;
  REQUIRE(master.adopt());
  master.send({.kind = LIVESWAP_ADOPT}, "", {null_device().get()});
  const Incoming incoming;
  CHECK(incoming.receipt == CHANNEL_FRAME);
  REQUIRE(incoming.fd >= 0);
  CHECK((::fcntl(incoming.fd, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("channel: of several descriptors one is received and none is left open") {
  MasterEnd master;
  REQUIRE(master.adopt());
  const UniqueFd fd = null_device();
  const std::set<int> before = open_descriptors();
  for (const std::size_t count : {1UL, 2UL, 3UL, 17UL}) {
    CAPTURE(count);
    master.send({.kind = LIVESWAP_ADOPT}, "", std::vector<int>(count, fd.get()));
    {
      const Incoming incoming;
      CHECK(incoming.receipt == CHANNEL_FRAME);
      CHECK(incoming.fd >= 0);
    }
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("channel: a descriptor that the process can have no more is lost, its frame is not") {
  CHECK(in_child([] {
    MasterEnd master;
    REQUIRE(master.adopt());
    master.send({.kind = LIVESWAP_ADOPT, .value = 9}, "text", {0});
    const rlimit none{0, 0};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const Incoming incoming;
    REQUIRE(incoming.receipt == CHANNEL_FRAME);
    REQUIRE(incoming.fd == CHANNEL_LOST);
    REQUIRE(incoming.frame.value == 9);
    REQUIRE(incoming.said() == "text");
  }));
}

TEST_CASE("channel: a child does not speak in the worker's name, nor keep the channel open") {
  MasterEnd master;
  REQUIRE(master.adopt());
  CHECK(in_child([] {
    REQUIRE(channel_fd() == -1);
    REQUIRE(!is_open(LIVESWAP_FD_CHANNEL));
    REQUIRE(!is_open(LIVESWAP_FD_LIFE));
    REQUIRE(fd_flags(LIVESWAP_FD_CHANNEL) == 0);
    REQUIRE(fd_flags(LIVESWAP_FD_LIFE) == 0);
    // The application may have put something else there, which is not the host's.
    REQUIRE(is_open(LIVESWAP_FD_OUTPUT));
    REQUIRE(!channel_try_send({.kind = KIND}, nullptr, 0));
    REQUIRE(!channel_is_only_full());
    REQUIRE(Incoming().receipt == CHANNEL_GONE);
  }));
  CHECK(!master.receive().has_value());
  CHECK(channel_fd() == LIVESWAP_FD_CHANNEL);
  CHECK(channel_try_send({.kind = KIND}, nullptr, 0));
}

TEST_CASE("channel: a failure tells the stage and why, and ends the process without its exit handlers") {
  MasterEnd master;
  const int status = status_of_child([&] {
    REQUIRE(master.adopt());
    std::atexit([] { ::_exit(1); });
    channel_fail(LIVESWAP_STAGE_LINK, "%s: found %d", "/app.so", 5);
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == LIVESWAP_EXIT_LOAD);
  const auto failed = master.receive();
  REQUIRE(failed.has_value());
  CHECK(failed->kind == LIVESWAP_FAILED);
  CHECK(failed->value == LIVESWAP_STAGE_LINK);
  CHECK(failed->text == "/app.so: found 5");
}

TEST_CASE("channel: a failure that is long to tell is cut") {
  MasterEnd master;
  const std::string text(20'000, 'e');
  const int status = status_of_child([&] {
    REQUIRE(master.adopt());
    channel_fail(LIVESWAP_STAGE_OPEN, "%s", text.c_str());
  });
  CHECK(WEXITSTATUS(status) == LIVESWAP_EXIT_LOAD);
  const auto failed = master.receive();
  REQUIRE(failed.has_value());
  CHECK(failed->text.size() >= 4096);
  CHECK(failed->text == text.substr(0, failed->text.size()));
}
