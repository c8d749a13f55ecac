#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "client/deadline.hpp"
#include "protocol/line_buffer.hpp"

namespace liveswap::client {

// A line-based connection to a master. Calls block until the deadline.
class Connection {
 public:
  // `fd`: connected and non-blocking.
  Connection(UniqueFd fd, Deadline deadline) : fd_(std::move(fd)), deadline_(deadline) {}

  enum class IoResult {
    ok,
    closed,     // the peer closed or reset the connection
    timed_out,  // the deadline passed
    too_long,   // the line exceeds the limit of the protocol
  };

  // After `closed`, receive() may still return what the peer sent before.
  IoResult send(std::string_view bytes);

  // The next line without its newline. `line` changes only if the result is `ok`.
  IoResult receive(std::string& line);

  // The first bytes from the peer, truncated: identify a peer that does not speak the protocol.
  const std::string& beginning() const { return beginning_; }

 private:
  IoResult wait(short events);
  IoResult read_more();

  UniqueFd fd_;
  Deadline deadline_;
  std::optional<std::size_t> late_;  // after the deadline, the bytes that may still be read
  protocol::LineBuffer lines_{protocol::answer_limit};
  std::string beginning_;
};

}  // namespace liveswap::client
