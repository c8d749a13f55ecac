#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"

// Listens in this process. A thread takes one connection, reads one line, calls the test's function with the
// socket, and closes the socket.
class FakeServer {
 public:
  using Play = std::function<void(int socket)>;

  static FakeServer on_unix(const std::string& path, Play play);
  static FakeServer on_tcp(Play play);  // 127.0.0.1, the kernel chooses the port

  FakeServer(FakeServer&&) = delete;
  ~FakeServer() { wait(); }

  std::uint16_t port() const { return port_; }

  // The line that the client sent. Waits for the end of the test's function.
  const std::string& received();

 private:
  FakeServer(liveswap::UniqueFd listener, std::uint16_t port, Play play);
  void serve(const Play& play);
  void wait();

  liveswap::UniqueFd listener_;
  std::uint16_t port_;
  std::string received_;
  std::thread thread_;
};

// Sends all of `text`.
void say(int socket, const std::string& text);

// Blocks until the other side closes.
void wait_for_end(int socket);
