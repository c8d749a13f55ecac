#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "support/eventually.hpp"

namespace scenario {

// A client's end of a stream connection. `address` as in --listen: "127.0.0.1:80", "[::1]:80", "unix:/path".
// Blocking calls end after `patience` at the latest.
class Connection {
 public:
  // Fails the test when nobody listens there.
  explicit Connection(const std::string& address);
  // Nothing when nobody listens there.
  static std::optional<Connection> attempt(const std::string& address);

  // False when the other end has closed.
  bool send(const std::string& bytes);

  // Up to the end of file, or of the time.
  std::string read_all(milliseconds limit = patience);

  // The next line with its newline; what there is when the connection ends first.
  std::string read_line(milliseconds limit = patience);

  // So many bytes; fewer when the connection ends first.
  std::string read_exactly(std::size_t size, milliseconds limit = patience);

  // Whether the other end has closed within the limit; discards what it sent.
  bool ends(milliseconds limit = patience);

  int fd() const { return fd_.get(); }

 private:
  explicit Connection(liveswap::UniqueFd fd) : fd_(std::move(fd)) {}
  // False when there is nothing more: the end of file, or of the time.
  bool receive(Clock::time_point end);

  liveswap::UniqueFd fd_;
  std::string received_;
  bool ended_ = false;
};

// What the server answers to `GET path` on a new connection, header and body; "" when there was no answer.
std::string http_get(const std::string& address, const std::string& path = "/");

}  // namespace scenario
