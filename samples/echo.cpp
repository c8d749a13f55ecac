// An echo server with a thread for each connection. Blocking code can drain like an event loop, if every
// thread waits for its connection and for the drain at the same time.
#include <liveswap_plugin.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kConnectionsMax = 256;
constexpr int kSendLimitMs = 10'000;  // limit for a client that does not read

std::atomic<int> connections = 0;

bool send_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      data += sent;
      size -= static_cast<std::size_t>(sent);
      continue;
    }
    pollfd room{fd, POLLOUT, 0};
    if (errno != EAGAIN || poll(&room, 1, kSendLimitMs) <= 0) return false;
  }
  return true;
}

// True: bytes can be read. False: the host has closed the idle connection.
bool wait_for_bytes(int fd, Clock::time_point last) {
  for (;;) {
    int timeout = -1;
    if (liveswap_draining() != 0) {
      const auto idle = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - last);
      timeout = liveswap_close_idle(fd, static_cast<long>(idle.count()));
      if (timeout == 0) return false;
      if (timeout < 0) return true;  // bytes wait
    }
    // The drain descriptor stays readable, so it is polled only before the drain.
    pollfd either[] = {{fd, POLLIN, 0}, {timeout < 0 ? liveswap_drain_fd() : -1, POLLIN, 0}};
    poll(either, 2, timeout);
    if (either[0].revents != 0) return true;
  }
}

void echo(int fd) {
  char buffer[4096];
  auto last = Clock::now();
  while (wait_for_bytes(fd, last)) {
    const ssize_t size = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0 || !send_all(fd, buffer, static_cast<std::size_t>(size))) {
      liveswap_close_lingering(fd);
      break;
    }
    last = Clock::now();
  }
  --connections;
  connections.notify_all();
}

void accept_one(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;  // another worker was faster
  ++connections;
  try {
    std::thread(echo, fd).detach();
  } catch (const std::system_error& error) {
    liveswap_log(LIVESWAP_ERROR, error.what());
    liveswap_close_lingering(fd);
    --connections;
  }
}

}  // namespace

int liveswap_main(int fd) {
  while (liveswap_draining() == 0) {
    // At the limit, further clients wait in the accept queue, which survives upgrades.
    pollfd either[] = {{liveswap_drain_fd(), POLLIN, 0}, {fd, POLLIN, 0}};
    if (const int open = connections; open >= kConnectionsMax) {
      poll(either, 1, 100);
      continue;
    }
    poll(either, 2, -1);
    if (either[0].revents == 0 && either[1].revents != 0) accept_one(fd);
  }
  for (int open = connections; open > 0; open = connections) connections.wait(open);
  return 0;
}
