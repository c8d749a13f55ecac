#include "master/control/control_connection.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/reserve.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {
namespace {

// Bytes that a client may leave unread.
constexpr std::size_t backlog_limit = 256 * 1024;

// Of a long answer: bytes read and written at once, and the time limit for all of it.
constexpr std::size_t piece = 64 * 1024;
constexpr Milliseconds long_answer_limit{30'000};

// An answer in the form of protocol::error_line(), for use when no memory can be allocated.
constexpr const char* cut_off_line =
    R"({"cmd":"","error":"an error cut the command off: `liveswap status` shows what is","status":"failed"})"
    "\n";

struct Write {
  uv_write_t request{};
  std::string bytes;
};

void allocate(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  // Shared by all connections: used up before the next read, on one thread.
  static thread_local char bytes[16 * 1024];
  *buffer = uv_buf_init(bytes, sizeof bytes);
}

}  // namespace

ControlConnection::ControlConnection(uv_stream_t* stream, bool local, void (*delete_stream)(uv_handle_t*),
                                     Handlers handlers)
    : stream_(stream),
      local_(local),
      delete_stream_(delete_stream),
      handlers_(std::move(handlers)),
      long_answer_timer_(*stream->loop) {
  stream_->data = this;
  read();
}

ControlConnection::~ControlConnection() {
  stream_->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(stream_), delete_stream_);
}

void ControlConnection::close() {
  uv_read_stop(stream_);
  if (const auto closed = std::move(handlers_.closed)) closed();
}

void ControlConnection::read() {
  uv_read_start(stream_, allocate, [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    auto* self = static_cast<ControlConnection*>(stream->data);
    if (!self || count == 0) return;
    if (count < 0) guarded([&] { self->close(); });
    else if (!guarded([&] { self->on_bytes(buffer->base, static_cast<std::size_t>(count)); }))
      self->cut();  // the bytes read are lost, so the next line would be wrong
  });
}

void ControlConnection::on_bytes(const char* bytes, std::size_t count) {
  if (refused_) return;
  // Endless lines would use up the memory reserve.
  if (reserve::is_needed()) return refuse(no_memory_line);
  lines_.append({bytes, count});
  take_lines();
}

// A loop instead of recursion: a handler may answer within the call, and a client could make the recursion
// arbitrarily deep.
void ControlConnection::take_lines() {
  if (taking_) return;
  taking_ = true;
  while (!busy_ && !refused_) {
    const auto line = lines_.next();
    if (!line && !lines_.too_long()) {
      read();
      break;
    }
    busy_ = true;
    uv_read_stop(stream_);
    if (!guarded([&] { handlers_.line(line); })) cut();
  }
  taking_ = false;
}

int ControlConnection::fd() const {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<const uv_handle_t*>(stream_), &fd);
  return fd;
}

bool ControlConnection::is_sending(bool long_only) const {
  return long_answer_ || (!long_only && (refused_ || stream_->write_queue_size > 0));
}

void ControlConnection::resume(const std::string& received, bool asked) {
  busy_ = asked;
  if (asked) uv_read_stop(stream_);
  lines_.append(received);
  take_lines();
}

void ControlConnection::answer(const std::string& line) {
  busy_ = false;
  write(line);
  take_lines();
}

void ControlConnection::answer(spawn::ReceivedFd file, std::size_t size, std::shared_ptr<const void> held) {
  long_answer_ = LongAnswer{std::move(file), size, 0, std::move(held)};
  long_answer_timer_.start(long_answer_limit, [this] { cut(); });
  send_piece();
}

// Writes a piece when the previous one has left, so that other connections get their turn.
void ControlConnection::send_piece() {
  if (!long_answer_ || refused_) return;
  if (long_answer_->done == long_answer_->size) {
    long_answer_timer_.stop();
    long_answer_.reset();
    busy_ = false;
    take_lines();
    return;
  }
  auto write = std::make_unique<Write>();
  write->bytes.resize(std::min(piece, long_answer_->size - long_answer_->done));
  const ssize_t n = ::pread(long_answer_->file.get(), write->bytes.data(), write->bytes.size(),
                            static_cast<off_t>(long_answer_->done));
  // Half a line is no answer: close.
  if (n <= 0) return cut();
  long_answer_->done += static_cast<std::size_t>(n);
  uv_buf_t buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(n));
  write->request.data = write.get();
  const int failed = uv_write(&write->request, stream_, &buffer, 1, [](uv_write_t* request, int status) {
    const std::unique_ptr<Write> owner(static_cast<Write*>(request->data));
    auto* self = static_cast<ControlConnection*>(request->handle->data);
    if (self && (status < 0 || !guarded([&] { self->send_piece(); }))) self->cut();
  });
  if (failed != 0) return cut();
  static_cast<void>(write.release());
}

void ControlConnection::refuse(const std::string& line) {
  refused_ = true;
  busy_ = false;
  write(line);
  // Queued lines go out first; the limit on connections ends a client that does not read them.
  auto* request = new uv_shutdown_t;
  const int failed = uv_shutdown(request, stream_, [](uv_shutdown_t* done, int) {
    const std::unique_ptr<uv_shutdown_t> owner(done);
    guarded([done] {
      if (auto* self = static_cast<ControlConnection*>(done->handle->data)) self->close();
    });
  });
  if (failed != 0) {
    delete request;
    cut();
  }
}

void ControlConnection::give_up() noexcept {
  if (busy() && !guarded([this] { refuse(cut_off_line); })) cut();
}

// The next read() finds the end; the owner may be in the middle of a call.
void ControlConnection::cut() noexcept {
  uv_os_fd_t fd = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(stream_), &fd) == 0) ::shutdown(fd, SHUT_RDWR);
  refused_ = true;
  read();
}

void ControlConnection::write(const std::string& line) {
  if (stream_->write_queue_size > backlog_limit) {
    cut();
    return;
  }
  auto* write = new Write{{}, line};
  uv_buf_t buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  write->request.data = write;
  const int failed = uv_write(&write->request, stream_, &buffer, 1, [](uv_write_t* request, int status) {
    const std::unique_ptr<Write> owner(static_cast<Write*>(request->data));
    auto* self = static_cast<ControlConnection*>(request->handle->data);
    if (status < 0 && self) self->cut();  // the client would wait for an answer for ever
  });
  if (failed == 0) return;
  delete write;
  cut();
}

}  // namespace liveswap::master
