#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "protocol/line_buffer.hpp"

namespace liveswap::master {

using ConnectionId = std::uint64_t;

// One client of the control protocol: bytes to lines and back. A command at a time: while one is under way nothing
// further is read, so that a client cannot pile up work. A client that does not read is cut off.
class ControlConnection {
 public:
  struct Handlers {
    std::function<void(const std::optional<std::string>& line)> line;  // nothing: one that is too long
    std::function<void()> closed;  // the last call; may destroy the object
  };

  // Adopts an initialised, accepted stream (uv_pipe_t or uv_tcp_t, allocated with new, `delete_stream` frees it).
  ControlConnection(uv_stream_t* stream, bool local, void (*delete_stream)(uv_handle_t*), Handlers handlers);
  ControlConnection(const ControlConnection&) = delete;
  ControlConnection& operator=(const ControlConnection&) = delete;
  ~ControlConnection();

  bool local() const { return local_; }
  bool busy() const { return busy_; }

  void event(const std::string& line) { write(line); }
  // Ends the command under way; the next line, if one waits, is taken then.
  void answer(const std::string& line);
  // Says why, and closes; whatever else arrives is discarded.
  void refuse(const std::string& line);

 private:
  void read();
  void on_bytes(const char* bytes, std::size_t count);
  void take_lines();
  void cut();
  void write(const std::string& line);
  void close();

  uv_stream_t* stream_;
  bool local_;
  void (*delete_stream_)(uv_handle_t*);
  Handlers handlers_;
  protocol::LineBuffer lines_;
  bool busy_ = false;
  bool taking_ = false;
  bool refused_ = false;  // nothing it says counts any more
};

}  // namespace liveswap::master
