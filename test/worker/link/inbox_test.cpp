// Messages that wait for the application (link/inbox.h and the contract's liveswap_message).
#include "../host_headers.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/base/fd_flags.h"
#include "worker/link/inbox.h"
}

namespace {

enum { ROOM = 65'536 };

bool put(const std::string& text) { return inbox_put(text.data(), text.size()); }

bool was_refused_before = false;

// Each test begins with an empty one.
struct Inbox {
  Inbox() {
    static const bool is_set_up = [] {
      was_refused_before = !put("early");
      return inbox_setup();
    }();
    REQUIRE(is_set_up);
    while (take() > 0) continue;
  }
  ssize_t take(std::size_t capacity = ROOM) {
    buffer.assign(capacity, '?');
    return liveswap_message(buffer.data(), capacity);
  }
  std::string text() {
    const ssize_t size = take();
    return size >= 0 ? std::string(buffer.data(), static_cast<std::size_t>(size)) : "error";
  }
  bool is_readable() const {
    pollfd waits{liveswap_message_fd(), POLLIN, 0};
    return ::poll(&waits, 1, 0) == 1;
  }
  std::vector<char> buffer;
};

}  // namespace

TEST_CASE("inbox: its descriptor is the host's, never blocks, and is closed on exec") {
  const Inbox inbox;
  CHECK(was_refused_before);
  const int fd = liveswap_message_fd();
  REQUIRE(fd >= 0);
  CHECK(fd_flags(fd) == FLAG_HOST);
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("inbox: empty") {
  Inbox inbox;
  CHECK(inbox.take() == 0);
  CHECK(!inbox.is_readable());
}

TEST_CASE("inbox: one message at a time, in their order, each with a NUL at its end") {
  Inbox inbox;
  CHECK(put("first"));
  CHECK(put("the second"));
  CHECK(inbox.is_readable());
  CHECK(inbox.take() == 5);
  CHECK(std::string(inbox.buffer.data()) == "first");
  CHECK(inbox.buffer[6] == '?');
  CHECK(inbox.is_readable());
  CHECK(inbox.text() == "the second");
  CHECK(!inbox.is_readable());
  CHECK(inbox.take() == 0);
}

TEST_CASE("inbox: a buffer too small keeps the message") {
  Inbox inbox;
  CHECK(put("12345"));
  for (const std::size_t capacity : {0UL, 1UL, 4UL, 5UL}) {
    CAPTURE(capacity);
    errno = 0;
    CHECK(inbox.take(capacity) == -1);
    CHECK(errno == EMSGSIZE);
    CHECK(inbox.is_readable());
  }
  CHECK(inbox.take(6) == 5);
  CHECK(inbox.buffer[5] == '\0');
}

TEST_CASE("inbox: without a buffer it is the caller's error") {
  Inbox inbox;
  CHECK(put("kept"));
  errno = 0;
  CHECK(liveswap_message(nullptr, ROOM) == -1);
  CHECK(errno == EINVAL);
  CHECK(inbox.text() == "kept");
}

TEST_CASE("inbox: the longest message fits into the buffer that the contract names; no longer one is taken") {
  Inbox inbox;
  const std::string longest(ROOM - 1, 'm');
  CHECK(put(longest));
  CHECK(inbox.take(ROOM - 1) == -1);
  CHECK(inbox.text() == longest);
  CHECK(!put(longest + "m"));
  CHECK(!put(std::string(1 << 20, 'm')));
  CHECK(inbox.take() == 0);
}

TEST_CASE("inbox: an empty message would look like none, and is refused") {
  Inbox inbox;
  CHECK(!put(""));
  CHECK(!inbox.is_readable());
}

TEST_CASE("inbox: full it refuses at once, and has room again when one is taken") {
  Inbox inbox;
  std::vector<std::string> kept;
  for (;;) {
    const std::string text = std::to_string(kept.size()) + std::string(10'000, '.');
    if (!put(text)) break;
    kept.push_back(text);
    REQUIRE(kept.size() < 1000);
  }
  REQUIRE(kept.size() > 2);
  CHECK(!put("x"));
  for (const std::string& text : kept) REQUIRE(inbox.text() == text);
  CHECK(inbox.take() == 0);
  CHECK(put("x"));
  CHECK(inbox.text() == "x");
}

TEST_CASE("inbox: threads that take at the same time get each message once, and whole") {
  Inbox inbox;
  enum { MESSAGES = 2000, THREADS = 3 };
  std::vector<std::atomic<int>> seen(MESSAGES);
  std::atomic<int> taken = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < THREADS; ++i) {
    threads.emplace_back([&] {
      std::vector<char> buffer(ROOM);
      while (taken < MESSAGES) {
        const ssize_t size = liveswap_message(buffer.data(), 64);
        if (size < 0) ++wrong;
        if (size <= 0) {
          std::this_thread::yield();
          continue;
        }
        const std::string text(buffer.data());
        wrong += text.size() != static_cast<std::size_t>(size);
        ++seen.at(std::stoul(text));
        ++taken;
      }
    });
  }
  for (int i = 0; i < MESSAGES; ++i) {
    // Of different lengths, so that one whose length was another's would show.
    const std::string text = std::to_string(i) + std::string(static_cast<std::size_t>(i % 40), ' ');
    while (!put(text)) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  for (const auto& each : seen) REQUIRE(each == 1);
}
