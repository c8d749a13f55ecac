// Requests to the master that wait for an answer (link/open_requests.h): it comes, comes late, or never.
#include "../host_headers.hpp"
#include "../in_child.hpp"
#include "../master_end.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <thread>
#include <vector>

extern "C" {
#include "worker/base/clock.h"
#include "worker/link/open_requests.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

const bool is_set_up = open_requests_setup();

enum { LONG_MS = 60'000 };

std::int64_t in_ms(std::int64_t limit) { return clock_ms() + limit; }

int some_fd() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

// One that is in the list until it is waited for.
struct Request : open_request {
  Request() : open_request() { open_requests_add(this); }
  void wait(std::int64_t limit) { open_requests_wait(this, in_ms(limit)); }
};

}  // namespace

TEST_CASE("open requests: each has a number of its own, greater than 0") {
  REQUIRE(is_set_up);
  CHECK(!open_requests_any());
  Request first, second;
  CHECK(first.number > 0);
  CHECK(second.number > 0);
  CHECK(first.number != second.number);
  CHECK(open_requests_any());
  first.wait(0);
  CHECK(open_requests_any());
  second.wait(0);
  CHECK(!open_requests_any());
}

TEST_CASE("open requests: an answer that comes before the wait") {
  Request request;
  const int fd = some_fd();
  open_requests_answered(request.number, 0, fd);
  request.wait(LONG_MS);
  CHECK(request.done);
  CHECK(request.error == 0);
  CHECK(request.fd == fd);
  CHECK(is_open(fd));
  ::close(fd);
}

TEST_CASE("open requests: an answer with an error and without a descriptor") {
  Request request;
  open_requests_answered(request.number, EADDRINUSE, -1);
  request.wait(LONG_MS);
  CHECK(request.done);
  CHECK(request.error == EADDRINUSE);
  CHECK(request.fd == -1);
}

TEST_CASE("open requests: a descriptor that the process could have no more is an error") {
  Request lost, failed;
  open_requests_answered(lost.number, 0, CHANNEL_LOST);
  open_requests_answered(failed.number, EACCES, CHANNEL_LOST);
  lost.wait(LONG_MS);
  failed.wait(LONG_MS);
  CHECK(lost.done);
  CHECK(lost.error == EMFILE);
  CHECK(lost.fd == -1);
  CHECK(failed.error == EACCES);
  CHECK(failed.fd == -1);
}

TEST_CASE("open requests: an answer wakes the thread that waits") {
  Request request;
  const std::int64_t began = clock_ms();
  std::thread master([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    open_requests_answered(request.number, ENOENT, -1);
  });
  request.wait(LONG_MS);
  CHECK(clock_ms() - began < LONG_MS / 2);
  master.join();
  CHECK(request.done);
  CHECK(request.error == ENOENT);
}

TEST_CASE("open requests: without an answer the wait ends at its limit, by the monotonic clock") {
  Request request;
  const std::int64_t began = clock_ms();
  request.wait(60);
  const std::int64_t took = clock_ms() - began;
  // The time of the monotonic clock would be over for long on the realtime clock.
  CHECK(took >= 59);
  CHECK(took < 10'000);
  CHECK(!request.done);
  CHECK(!open_requests_any());
}

TEST_CASE("open requests: a limit that has passed is not waited for, and an answer is seen all the same") {
  Request none, answered;
  open_requests_answered(answered.number, 0, -1);
  none.wait(-1000);
  answered.wait(-1000);
  CHECK(!none.done);
  CHECK(answered.done);
}

TEST_CASE("open requests: an answer that nobody waits for is dropped, and its descriptor closed") {
  const int unknown = some_fd();
  open_requests_answered(INT32_MAX, 0, unknown);
  CHECK(!is_open(unknown));
  Request late;
  late.wait(0);
  const int fd = some_fd();
  open_requests_answered(late.number, 0, fd);
  CHECK(!is_open(fd));
  CHECK(!late.done);
  for (const int number : {0, -1}) open_requests_answered(number, 0, -1);
}

TEST_CASE("open requests: the first answer counts, a second one is dropped") {
  Request request;
  const int first = some_fd(), second = some_fd();
  open_requests_answered(request.number, 0, first);
  open_requests_answered(request.number, EIO, second);
  request.wait(LONG_MS);
  CHECK(request.error == 0);
  CHECK(request.fd == first);
  CHECK(is_open(first));
  CHECK(!is_open(second));
  ::close(first);
}

TEST_CASE("open requests: an answer leaves the others in the list as they are, wherever they stand") {
  std::deque<Request> all(5);
  for (const int at : {2, 4, 0}) {
    open_requests_answered(all[static_cast<std::size_t>(at)].number, at + 100, -1);
    CHECK(std::count_if(all.begin(), all.end(), [](const Request& each) { return each.done; }) == (at == 2 ? 1
                                                                                                   : at == 4
                                                                                                       ? 2
                                                                                                       : 3));
  }
  // Taken out in another order than they came in.
  for (const int at : {3, 0, 4, 2, 1}) all[static_cast<std::size_t>(at)].wait(0);
  CHECK(!open_requests_any());
  for (const int at : {0, 2, 4}) CHECK(all[static_cast<std::size_t>(at)].error == at + 100);
  for (const int at : {1, 3}) CHECK(!all[static_cast<std::size_t>(at)].done);
}

TEST_CASE("open requests: many threads ask at the same time, and each gets its own answer") {
  enum { THREADS = 8, ROUNDS = 200 };
  std::atomic<int> wrong = 0;
  std::atomic<std::int32_t> asked[THREADS] = {};
  std::atomic<bool> is_over = false;
  std::thread master([&] {
    while (!is_over) {
      for (auto& slot : asked)
        if (const std::int32_t number = slot.exchange(0); number != 0)
          open_requests_answered(number, number % 1000, -1);
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> threads;
  for (auto& slot : asked) {
    threads.emplace_back([&] {
      for (int round = 0; round < ROUNDS; ++round) {
        Request request;
        slot = request.number;
        request.wait(LONG_MS);
        wrong += !request.done || request.error != request.number % 1000;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  is_over = true;
  master.join();
  CHECK(wrong == 0);
  CHECK(!open_requests_any());
}

TEST_CASE("open requests: given up, all are done, those too that come later") {
  CHECK(in_child([] {
    Request answered, open;
    open_requests_answered(answered.number, EPERM, -1);
    std::thread master([] { open_requests_give_up(); });
    open.wait(LONG_MS);
    master.join();
    REQUIRE(open.done);
    REQUIRE(open.error == 0);
    REQUIRE(open.fd <= 0);
    answered.wait(LONG_MS);
    REQUIRE(answered.error == EPERM);
    Request later;
    REQUIRE(later.done);
    later.wait(LONG_MS);
    REQUIRE(later.done);
    REQUIRE(!open_requests_any());
    // An answer that comes after all changes nothing.
    Request last;
    const int fd = some_fd();
    open_requests_answered(last.number, EIO, fd);
    REQUIRE(!is_open(fd));
    REQUIRE(last.error == 0);
    last.wait(0);
  }));
}
