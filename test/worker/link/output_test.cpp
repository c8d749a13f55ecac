// Standard output and error of a worker (link/output.h): to the master, and to where they go when it has
// died. Each in a child, for a process has one of each.
#include "../host_headers.hpp"
#include "../in_child.hpp"
#include "../master_end.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

extern "C" {
#include "worker/base/fd_flags.h"
#include "worker/link/output.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    out = UniqueFd::adopt(ends[0]);
    in = UniqueFd::adopt(ends[1]);
    ::fcntl(out.get(), F_SETFL, O_NONBLOCK);
  }
  std::string read() const {
    char bytes[8192];
    const ssize_t size = ::read(out.get(), bytes, sizeof bytes);
    return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : "";
  }
  UniqueFd out, in;
};

// A worker's 1 and 2, for as long as this lives; what fails afterwards can be printed.
struct Streams {
  Streams() {
    for (int i = 0; i < 2; ++i) saved[i] = ::fcntl(1 + i, F_DUPFD_CLOEXEC, 200);
  }
  ~Streams() {
    for (int i = 0; i < 2; ++i) {
      ::dup2(saved[i], 1 + i);
      ::close(saved[i]);
    }
  }
  int saved[2];
};

UniqueFd memory() { return UniqueFd::adopt(::memfd_create("place", MFD_CLOEXEC)); }

std::string content(const UniqueFd& file) {
  char bytes[65'536];
  const ssize_t size = ::pread(file.get(), bytes, sizeof bytes, 0);
  return std::string(bytes, size > 0 ? static_cast<std::size_t>(size) : 0);
}

void say(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t size = ::write(fd, text.data(), text.size());
}

void put(int fd, const UniqueFd& what) { ::dup2(what.get(), fd); }

bool is_readable(int fd) {
  pollfd waits{fd, POLLIN, 0};
  return ::poll(&waits, 1, 1000) == 1 && (waits.revents & POLLIN) != 0;
}

}  // namespace

TEST_CASE("output: while the master lives nothing is to be read here") {
  CHECK(output_fd(0) == -1);
  CHECK(output_fd(1) == -1);
}

TEST_CASE("output: the places are the host's, and closed on exec; one that is missing is none") {
  CHECK(in_child([] {
    put(LIVESWAP_FD_OUTPUT, memory());
    ::close(LIVESWAP_FD_ERROR);
    output_adopt();
    REQUIRE(fd_flags(LIVESWAP_FD_OUTPUT) == FLAG_HOST);
    REQUIRE((::fcntl(LIVESWAP_FD_OUTPUT, F_GETFD) & FD_CLOEXEC) != 0);
    REQUIRE(fd_flags(LIVESWAP_FD_ERROR) == 0);
  }));
}

TEST_CASE(
    "output: the master has died: what waits in the pipes is passed on, and what is written later arrives") {
  CHECK(in_child([] {
    const UniqueFd places[2] = {memory(), memory()};
    Pipe pipes[2];
    int readers[2] = {};
    {
      const Streams streams;
      for (int i = 0; i < 2; ++i) {
        put(1 + i, pipes[i].in);
        pipes[i].in.reset();
        put(LIVESWAP_FD_OUTPUT + i, places[i]);
      }
      output_adopt();
      say(1, "unread\n");
      say(2, "error\n");
      for (Pipe& pipe : pipes) pipe.out.reset();
      output_abandoned();
      for (int i = 0; i < 2; ++i) readers[i] = output_fd(i);
      say(1, "later\n");
      say(2, "error later\n");
    }
    REQUIRE(content(places[0]) == "unread\nlater\n");
    REQUIRE(content(places[1]) == "error\nerror later\n");
    for (const int reader : readers) {
      REQUIRE(reader >= 0);
      REQUIRE(fd_flags(reader) == FLAG_HOST);
      REQUIRE((::fcntl(reader, F_GETFD) & FD_CLOEXEC) != 0);
    }
  }));
}

TEST_CASE(
    "output: what a child of the application writes into the pipe afterwards is passed on when it is looked "
    "at") {
  CHECK(in_child([] {
    const UniqueFd place = memory();
    Pipe pipe;
    const UniqueFd childs = UniqueFd::adopt(::fcntl(pipe.in.get(), F_DUPFD_CLOEXEC, 210));
    std::string before, after;
    bool was_readable = false;
    {
      const Streams streams;
      put(1, pipe.in);
      pipe.in.reset();
      put(LIVESWAP_FD_OUTPUT, place);
      output_adopt();
      pipe.out.reset();
      output_abandoned();
      say(childs.get(), "of a child\n");
      before = content(place);
      was_readable = is_readable(output_fd(0));
      output_abandoned();
      after = content(place);
    }
    REQUIRE(before.empty());
    REQUIRE(was_readable);
    REQUIRE(after == "of a child\n");
    // Its own flags: the children's writes block as they did.
    REQUIRE((::fcntl(childs.get(), F_GETFL) & O_NONBLOCK) == 0);
  }));
}

TEST_CASE("output: without a place it goes nowhere, and a writer is not killed") {
  CHECK(in_child([] {
    Pipe pipe;
    struct stat now {
    }, nowhere{};
    {
      const Streams streams;
      put(1, pipe.in);
      pipe.in.reset();
      ::close(LIVESWAP_FD_OUTPUT);
      output_adopt();
      pipe.out.reset();
      output_abandoned();
      ::fstat(1, &now);
      say(1, "nobody reads it\n");
    }
    REQUIRE(::stat("/dev/null", &nowhere) == 0);
    REQUIRE(now.st_rdev == nowhere.st_rdev);
  }));
}

TEST_CASE("output: what is no pipe to the master stays as it is") {
  CHECK(in_child([] {
    const UniqueFd file = memory(), place = memory();
    int reader = 0;
    {
      const Streams streams;
      put(1, file);
      put(LIVESWAP_FD_OUTPUT, place);
      output_adopt();
      output_abandoned();
      say(1, "to the file\n");
      reader = output_fd(0);
    }
    REQUIRE(content(file) == "to the file\n");
    REQUIRE(content(place).empty());
    REQUIRE(reader == -1);
  }));
}

TEST_CASE("output: what the application has put there itself stays") {
  CHECK(in_child([] {
    const UniqueFd log = memory(), place = memory();
    const Pipe pipe;
    {
      const Streams streams;
      put(1, pipe.in);
      put(LIVESWAP_FD_OUTPUT, place);
      output_adopt();
      put(1, log);
      output_abandoned();
      say(1, "its own log\n");
    }
    REQUIRE(content(log) == "its own log\n");
    REQUIRE(content(place).empty());
  }));
}

TEST_CASE("output: a place that takes nothing is not waited for") {
  CHECK(in_child([] {
    Pipe pipe, place;
    const std::string block(4096, 'b');
    ::fcntl(place.in.get(), F_SETFL, O_NONBLOCK);
    while (::write(place.in.get(), block.data(), block.size()) > 0) continue;
    ::fcntl(place.in.get(), F_SETFL, 0);
    bool is_empty = false;
    {
      const Streams streams;
      put(1, pipe.in);
      pipe.in.reset();
      put(LIVESWAP_FD_OUTPUT, place.in);
      output_adopt();
      for (int i = 0; i < 3; ++i) say(1, block);
      pipe.out.reset();
      output_abandoned();
      char byte;
      is_empty = ::read(output_fd(0), &byte, 1) <= 0;
    }
    REQUIRE(is_empty);  // so that who writes into the pipe goes on
  }));
}

TEST_CASE("output: lines of stdout are written as they end, the rest when it is asked for") {
  CHECK(in_child([] {
    const Pipe pipe;
    std::string line, flushed, locked;
    {
      const Streams streams;
      put(1, pipe.in);
      output_by_lines();
      std::fputs("a line\nand ", stdout);
      line = pipe.read();
      output_flush();
      flushed = pipe.read();
      std::fputs("the rest", stdout);
      std::atomic<bool> is_held = false, is_over = false;
      std::thread holder([&] {
        ::flockfile(stdout);
        is_held = true;
        while (!is_over) std::this_thread::yield();
        ::funlockfile(stdout);
      });
      while (!is_held) std::this_thread::yield();
      output_flush();  // a thread is just using it: must not be waited for
      locked = pipe.read();
      is_over = true;
      holder.join();
      output_flush();
    }
    REQUIRE(line == "a line\n");
    REQUIRE(flushed == "and ");
    REQUIRE(locked == "");
    REQUIRE(pipe.read() == "the rest");
  }));
}
