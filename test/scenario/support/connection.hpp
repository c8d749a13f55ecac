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
  // Fails the test if the connection is refused.
  explicit Connection(const std::string& address);
  // Nothing if the connection is refused.
  static std::optional<Connection> attempt(const std::string& address);

  // False if the other end has closed.
  bool send(const std::string& bytes);

  // Reads up to the end of file, or to the limit.
  std::string read_all(milliseconds limit = patience);

  // The next line with its newline; an incomplete one if the connection ends first.
  std::string read_line(milliseconds limit = patience);

  // `size` bytes; fewer if the connection ends first.
  std::string read_exactly(std::size_t size, milliseconds limit = patience);

  // Whether the other end closes within the limit; discards its bytes.
  bool ends(milliseconds limit = patience);

  int fd() const { return fd_.get(); }

 private:
  explicit Connection(liveswap::UniqueFd fd) : fd_(std::move(fd)) {}
  // False: end of file, or the limit has passed.
  bool receive(Clock::time_point end);

  liveswap::UniqueFd fd_;
  std::string received_;
  bool ended_ = false;
};

// The whole answer to `GET path` on a new connection; "": no answer.
std::string http_get(const std::string& address, const std::string& path = "/");

}  // namespace scenario
