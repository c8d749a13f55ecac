#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "master/uv/loop.hpp"
#include "protocol/line_buffer.hpp"
#include "spawn/received_fd.hpp"

namespace liveswap::master {

using ConnectionId = std::uint64_t;

// What a client is told while there is no memory (base/reserve.hpp), as protocol::error_line() makes it.
inline constexpr const char* no_memory_line =
    R"({"cmd":"","error":"the master has no memory for a command now: try again","status":"failed"})"
    "\n";

// One client of the control protocol: bytes to lines and back. A command at a time: while one is under way
// nothing further is read, so that a client cannot pile up work. A client that does not read is cut off.
class ControlConnection {
 public:
  struct Handlers {
    std::function<void(const std::optional<std::string>& line)> line;  // nothing: one that is too long
    std::function<void()> closed;  // the last call; may destroy the object
  };

  // Adopts an initialised, accepted stream (uv_pipe_t or uv_tcp_t, allocated with new, `delete_stream` frees
  // it).
  ControlConnection(uv_stream_t* stream, bool local, void (*delete_stream)(uv_handle_t*), Handlers handlers);
  ControlConnection(const ControlConnection&) = delete;
  ControlConnection& operator=(const ControlConnection&) = delete;
  ~ControlConnection();

  bool local() const { return local_; }
  // Its command is still being carried out. A client that only has to read its answer is not.
  bool busy() const { return busy_ && !pouring_; }

  void event(const std::string& line) { write(line); }
  // Ends the command under way; the next line, if one waits, is taken then.
  void answer(const std::string& line);
  // The same, where the line is the content of a file in memory of `size` bytes: it is sent in pieces, each
  // when the client has taken the one before. A client that has not taken all within 30 s is cut off. `held`
  // is let go of at the end.
  void answer(ReceivedFd file, std::size_t size, std::shared_ptr<const void> held);
  // Says why, and closes; whatever else arrives is discarded.
  void refuse(const std::string& line);
  // Ends it soon, on the loop. Cannot fail.
  void cut() noexcept;

 private:
  void read();
  void on_bytes(const char* bytes, std::size_t count);
  void take_lines();
  void write(const std::string& line);
  void pour();
  void close();

  uv_stream_t* stream_;
  bool local_;
  void (*delete_stream_)(uv_handle_t*);
  Handlers handlers_;
  protocol::LineBuffer lines_;
  bool busy_ = false;
  bool taking_ = false;
  struct Pouring {
    ReceivedFd file;
    std::size_t size = 0;
    std::size_t done = 0;
    std::shared_ptr<const void> held;
  };
  std::optional<Pouring> pouring_;
  Timer pour_limit_;
  bool refused_ = false;  // nothing it says counts any more
};

}  // namespace liveswap::master
