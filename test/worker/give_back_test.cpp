// Connections that go back to the master (takeover/give_back.h) while it does not read, or is gone.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

extern "C" {
#include "contract/channel.h"
#include "worker/takeover/give_back.h"
}

namespace {

struct Sent {
  std::uint64_t cookie, count;
};
std::vector<Sent> sent;
std::size_t room = 0;
int refusal = EAGAIN;
std::string logged;
bool woken = false;

int open_one() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

extern "C" {
bool channel_try_send_with(liveswap_frame frame, const void* text, size_t, int fd) {
  errno = is_open(fd) ? refusal : EBADF;
  if (sent.size() >= room || !is_open(fd)) return false;
  sent.push_back({*static_cast<const std::uint64_t*>(text), frame.count});
  return true;
}
bool channel_is_only_full(void) { return errno == EAGAIN; }
void wake_control_thread(void) { woken = true; }
bool control_thread_unpark(void) { return true; }
void liveswap_log(int, const char* text) { logged += text; }
}

TEST_CASE("give back: what the master has no room for waits, in its order, and is not lost") {
  sent.clear();
  room = 1;
  const int fds[] = {open_one(), open_one(), open_one()};
  for (int i = 0; i < 3; ++i) give_back(static_cast<std::uint64_t>(i) + 1, fds[i], INT64_MAX);
  CHECK(sent.size() == 1);
  CHECK(sent[0].count == 1);  // 0 is for those that a worker hands off
  CHECK(!is_open(fds[0]));
  CHECK(is_open(fds[1]));
  CHECK(woken);
  CHECK(!give_back_is_done());
  CHECK(give_back_step() >= 0);
  room = 2;
  CHECK(give_back_step() >= 0);
  CHECK(sent.size() == 2);
  room = 3;
  CHECK(give_back_step() == -1);
  CHECK(give_back_is_done());
  for (std::size_t i = 0; i < 3; ++i) CHECK(sent[i].cookie == i + 1);
  CHECK(!is_open(fds[2]));
  CHECK(logged.empty());
}

TEST_CASE("give back: without a master they are closed, and the log says so") {
  sent.clear();
  logged.clear();
  room = 0;
  const int waits = open_one();
  give_back(1, waits, 0);
  CHECK(!give_back_is_done());
  refusal = EPIPE;
  CHECK(give_back_step() == -1);
  CHECK(!is_open(waits));
  CHECK(logged.find("Broken pipe") != std::string::npos);
  refusal = EAGAIN;
}
