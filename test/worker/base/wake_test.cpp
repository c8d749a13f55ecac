// How every layer has the control thread look (base/wake.h).
#include "../host_headers.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include <thread>
#include <vector>

extern "C" {
#include "worker/base/fd_flags.h"
#include "worker/base/slow_path.h"
#include "worker/base/wake.h"
}

namespace {

const bool is_set_up = wake_setup();

bool is_readable() {
  pollfd waits{wake_fd(), POLLIN, 0};
  return ::poll(&waits, 1, 0) == 1;
}

void on_signal(int) { wake_control_thread(); }

}  // namespace

TEST_CASE("wake: its descriptor is the host's, never blocks, and is closed on exec") {
  REQUIRE(is_set_up);
  CHECK(fd_flags(wake_fd()) == FLAG_HOST);
  CHECK((::fcntl(wake_fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(wake_fd(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("wake: readable from the first call on, until it is cleared, however many there were") {
  wake_clear();
  CHECK(!is_readable());
  for (int i = 0; i < 3; ++i) wake_control_thread();
  CHECK(is_readable());
  CHECK(is_readable());
  wake_clear();
  CHECK(!is_readable());
  wake_clear();  // does not block
}

TEST_CASE("wake: the application's thread sees that the control thread is needed, should that be parked") {
  slow_path_remove(SLOW_NEEDED);
  wake_control_thread();
  CHECK(slow_path_has(SLOW_NEEDED));
  slow_path_remove(SLOW_NEEDED);
  wake_clear();
}

TEST_CASE("wake: one that is there is not woken for what it sees by itself") {
  wake_if_parked();
  CHECK(slow_path_remove(SLOW_NEEDED));
  CHECK(!is_readable());
}

TEST_CASE("wake: by any thread, and by a signal's handler") {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] {
      for (int n = 0; n < 1000; ++n) wake_control_thread();
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(is_readable());
  wake_clear();
  const auto before = ::signal(SIGUSR2, on_signal);
  ::raise(SIGUSR2);
  ::signal(SIGUSR2, before);
  CHECK(is_readable());
  wake_clear();
  slow_path_remove(SLOW_NEEDED);
}
