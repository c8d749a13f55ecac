#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"

namespace liveswap::load::test {

// A client's connection, and the number of requests on it.
struct Peer {
  UniqueFd fd;
  std::string unread;
  int requests = 0;
};

// Answers one request on the descriptor; false: the server closes the connection.
using Behaviour = std::function<bool(Peer& peer, const std::string& request)>;

// Answers with status 200 and this body, and keeps the connection.
Behaviour answer_with(const std::string& version, const std::string& body, const std::string& headers = "");

// The text of such an answer.
std::string http_answer(const std::string& version, const std::string& body, const std::string& headers = "");

void send_text(int fd, const std::string& text);

// After this, close() resets the connection.
void reset_on_close(int fd);

// A listening socket on a port of 127.0.0.1 that the kernel chose.
class Listener {
 public:
  Listener();
  int fd() const { return fd_.get(); }
  std::string url(const std::string& path = "/") const;
  std::string echo_url() const;
  void close() { fd_.reset(); }

 private:
  UniqueFd fd_;
  std::uint16_t port_ = 0;
};

// A server in a thread, until destruction. A request ends with an empty line, or with a newline if it is not
// HTTP.
class ThreadServer {
 public:
  explicit ThreadServer(Behaviour behaviour);
  ~ThreadServer();
  const Listener& listener() const { return listener_; }

 private:
  Listener listener_;
  UniqueFd stop_;
  std::thread thread_;
};

// A server in a process, which kill() ends with SIGKILL. No other process has its listening socket.
class ProcessServer {
 public:
  explicit ProcessServer(const Behaviour& behaviour);
  ~ProcessServer() { kill(); }
  const Listener& listener() const { return listener_; }
  void kill();

 private:
  Listener listener_;
  pid_t pid_ = -1;
};

}  // namespace liveswap::load::test
