#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "client/deadline.hpp"
#include "protocol/line_buffer.hpp"

namespace liveswap::client {

// A stream to a master, line by line; blocks until the deadline.
class Connection {
 public:
  // Takes a connected non-blocking socket.
  Connection(UniqueFd fd, Deadline deadline) : fd_(std::move(fd)), deadline_(deadline) {}

  enum class Did {
    well,
    end,       // the other side closed or broke the connection
    late,      // the deadline passed
    too_long,  // what came is no line of the protocol
  };

  // `end` is no reason not to receive: what the other side said before it closed is still there.
  Did send(std::string_view bytes);

  // The next line without its newline; untouched unless all went well.
  Did receive(std::string& line);

  // What the other side said first, cut: tells who it is when it does not speak in lines.
  const std::string& beginning() const { return beginning_; }

 private:
  Did wait(short events);
  Did read_more();

  UniqueFd fd_;
  Deadline deadline_;
  protocol::LineBuffer lines_{protocol::answer_limit};
  std::string beginning_;
};

}  // namespace liveswap::client
