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

// The answer when there is no memory (base/reserve.hpp), as protocol::error_line() makes it.
inline constexpr const char* no_memory_line =
    R"({"cmd":"","error":"the master has no memory for a command now: try again","status":"failed"})"
    "\n";

// One client of the control protocol. Reads one command at a time, so that a client cannot queue work; a
// client that does not read its answers is cut off.
class ControlConnection {
 public:
  struct Handlers {
    std::function<void(const std::optional<std::string>& line)> line;  // nullopt: the line is too long
    std::function<void()> closed;  // the last call; may destroy the object
  };

  // Adopts an initialised, accepted stream (uv_pipe_t or uv_tcp_t, allocated with new); `delete_stream`
  // frees it.
  ControlConnection(uv_stream_t* stream, bool local, void (*delete_stream)(uv_handle_t*), Handlers handlers);
  ControlConnection(const ControlConnection&) = delete;
  ControlConnection& operator=(const ControlConnection&) = delete;
  ~ControlConnection();

  bool local() const { return local_; }
  // A command is being carried out; false while only its answer is being sent.
  bool busy() const { return busy_ && !long_answer_; }

  // Lines include their newline.
  // The socket, for the next image of the program; borrowed.
  int fd() const;
  // The bytes received after the current command.
  const std::string& received() const { return lines_.rest(); }
  // Whether the client has not received everything; `long_only`: only of an answer from a file.
  bool is_sending(bool long_only) const;
  // In the next image: the bytes that received() has returned, and whether a command is being carried out.
  void resume(const std::string& received, bool asked);

  void event(const std::string& line) { write(line); }
  // Ends the current command; the next line is read then.
  void answer(const std::string& line);
  // The same with the content of a memory file of `size` bytes, sent in pieces as the client reads. A
  // client that has not read all within 30 s is cut off. `held` is released at the end.
  void answer(spawn::ReceivedFd file, std::size_t size, std::shared_ptr<const void> held);
  // Sends `line` and closes; further input is discarded.
  void refuse(const std::string& line);
  // The current command was cut off by an exception: says so, or closes the connection.
  void give_up() noexcept;
  // Closes the connection from the loop, soon. Cannot fail.
  void cut() noexcept;

 private:
  void read();
  void on_bytes(const char* bytes, std::size_t count);
  void take_lines();
  void write(const std::string& line);
  void send_piece();
  void close();

  uv_stream_t* stream_;
  bool local_;
  void (*delete_stream_)(uv_handle_t*);
  Handlers handlers_;
  protocol::LineBuffer lines_;
  bool busy_ = false;
  bool taking_ = false;
  struct LongAnswer {
    spawn::ReceivedFd file;
    std::size_t size = 0;
    std::size_t done = 0;
    std::shared_ptr<const void> held;
  };
  std::optional<LongAnswer> long_answer_;
  Timer long_answer_timer_;
  bool refused_ = false;  // further input is ignored
};

}  // namespace liveswap::master
