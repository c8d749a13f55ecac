#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "master/workers/worker_process.hpp"

// The master's end of a worker's channel: frames to the worker, and from it.
namespace liveswap::master {
namespace {

// Frames read from one worker before the others get their turn.
constexpr int frames_at_once = 64;

// While this many frames are queued for a worker, its channel is not read: the worker must first read the
// answers.
constexpr std::size_t outbox_limit = 256;

// Handed-off connections queued for a worker; each costs a descriptor.
constexpr std::size_t bounded_limit = 1024;

// Before a descriptor for which the kernel had no room is sent again, or a resting worker is read again.
constexpr Milliseconds pause{5};

std::string packet_of(std::uint32_t kind, std::int32_t value, std::uint64_t count, std::string_view text) {
  const liveswap_frame header{kind, value, count};
  std::string packet(reinterpret_cast<const char*>(&header), sizeof header);
  packet += text;
  return packet;
}

// SCM_MAX_FD, the kernel's limit. With less room the kernel would close the surplus, on this thread, and
// could block (received_fd.hpp).
constexpr std::size_t packet_descriptors = 253;
constexpr std::size_t control_size = CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(packet_descriptors * sizeof(int));

// Takes all descriptors and the credentials of a message. A single descriptor is kept; several are closed, as
// their meaning is unclear.
void take_control(msghdr& message, Frame& frame) {
  unsigned found = 0;
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_SOCKET) continue;
    if (one->cmsg_type == SCM_CREDENTIALS && one->cmsg_len == CMSG_LEN(sizeof(ucred))) {
      ucred said{};
      std::memcpy(&said, CMSG_DATA(one), sizeof said);
      frame.sender = {said.pid, said.uid, said.gid};
    }
    if (one->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= one->cmsg_len; at += sizeof(int), ++found) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(one) + at, sizeof fd);
      frame.descriptor = UniqueFd::adopt(fd);
    }
  }
  frame.had_descriptor = found > 0;
  frame.crippled = found > 1 || (message.msg_flags & MSG_CTRUNC);
  if (frame.crippled) frame.descriptor.reset();
}

}  // namespace

// Drains the channel after shutdown(): otherwise the kernel closes the queued descriptors on this thread,
// which can block.
void WorkerProcess::close_channel() {
  handlers_.frame = nullptr;
  if (channel_) ::shutdown(channel_.get(), SHUT_RDWR);
  while (read_frame(true)) continue;
  channel_poll_.reset();
  channel_.reset();
}

WorkerProcess::Written WorkerProcess::write_frame(const std::string& bytes, int descriptor) {
  iovec text{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  if (::sendmsg(channel_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Written::done;
  // The channel has room, so poll() would report UV_WRITABLE at once and the loop would spin: pause instead.
  if (errno == ETOOMANYREFS || errno == ENOMEM || errno == ENOBUFS) return Written::no_memory;
  if (errno == EAGAIN || errno == EINTR) return Written::full;
  return Written::done;  // the worker has gone
}

void WorkerProcess::send(std::uint32_t kind, std::int32_t value, const Extras& extras) {
  if (!channel_poll_) return;
  auto bytes = packet_of(kind, value, extras.count, extras.text);
  if (outbox_.empty() && write_frame(bytes, extras.descriptor) == Written::done) return;
  auto kept = UniqueFd::adopt(extras.descriptor < 0 ? -1 : ::fcntl(extras.descriptor, F_DUPFD_CLOEXEC, 0));
  if (extras.descriptor >= 0 && !kept) {
    log::warning("pid {}: no descriptor left to send the worker a frame: {}", child_.pid, error_text(errno));
    if (kind != LIVESWAP_ANSWER) return;
    bytes = packet_of(kind, value, EMFILE, {});
  }
  outbox_.push_back({std::move(bytes), std::move(kept), extras.ticket});
  if (outbox_.size() == 1) write_outbox();
  watch_channel();
}

bool WorkerProcess::send_bounded(std::uint32_t kind, std::int32_t value, const Extras& extras) {
  if (outbox_.size() >= bounded_limit) return false;
  send(kind, value, extras);
  return true;
}

void WorkerProcess::rest() {
  if (std::exchange(resting_, true)) return;
  rest_.start(pause, [this] {
    resting_ = false;
    watch_channel();
  });
  watch_channel();
}

bool WorkerProcess::offer(std::uint32_t kind, std::int32_t value, std::string_view text) {
  return channel_poll_ && outbox_.empty() &&
         write_frame(packet_of(kind, value, 0, text), -1) == Written::done;
}

void WorkerProcess::write_outbox() {
  while (!outbox_.empty() && !pausing_) {
    const auto written = write_frame(outbox_.front().bytes, outbox_.front().descriptor.get());
    if (written == Written::full) return;
    if (written == Written::done) {
      outbox_.pop_front();
      continue;
    }
    pausing_ = true;
    pause_.start(pause, [this] {
      pausing_ = false;
      write_outbox();
      watch_channel();
    });
  }
}

void WorkerProcess::watch_channel() {
  if (!channel_poll_) return;
  const int reading = outbox_.size() < outbox_limit && !resting_ ? UV_READABLE : 0;
  const int writing = outbox_.empty() || pausing_ ? 0 : UV_WRITABLE;
  channel_poll_->watch(reading | writing);
}

void WorkerProcess::on_channel(int events) {
  if (events & UV_WRITABLE) {
    write_outbox();
    watch_channel();
  }
  if (events & UV_READABLE)
    for (int i = 0;
         i < frames_at_once && outbox_.size() < outbox_limit && !resting_ && read_frame(has_ended_); ++i)
      continue;
}

// A connection that a worker hands off is taken from the channel after it has been passed on. If this master
// is killed in between, the next one passes it on again, and the worker that gets it knows it already
// (takeover/given_connections.h).
bool WorkerProcess::read_frame(bool posthumous) {
  if (!channel_poll_) return false;
  liveswap_frame header;
  const bool is_connection = ::recv(channel_.get(), &header, sizeof header, MSG_PEEK | MSG_DONTWAIT) ==
                                 static_cast<ssize_t>(sizeof header) &&
                             header.kind == LIVESWAP_HANDOFF;
  Frame frame;
  frame.posthumous = posthumous;
  const Read read = receive(frame, is_connection ? MSG_PEEK : 0);
  if (read == Read::frame) {
    if (is_connection) guarded([&] { handle(frame); });
    else handle(frame);
  }
  if (read == Read::frame && is_connection) remove_frame();
  if (!posthumous && (read == Read::no_memory || (frame.had_descriptor && spawn::is_discarding_too_many())))
    rest();
  return read != Read::nothing && read != Read::no_memory;
}

void WorkerProcess::handle(Frame& frame) {
  if (handlers_.frame) handlers_.frame(frame);
}

void WorkerProcess::remove_frame() {
  Frame again;
  if (receive(again, 0) == Read::error) receive(again, 0);
}

// The end of the channel is only noted; the end of the process counts.
WorkerProcess::Read WorkerProcess::receive(Frame& frame, int flags) {
  // One buffer for all workers: frames are read one at a time on one thread.
  static thread_local char buffer[sizeof(liveswap_frame) + LIVESWAP_TEXT_MAX];
  alignas(cmsghdr) char control[control_size];
  iovec text{buffer, sizeof buffer};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = ::recvmsg(channel_.get(), &message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0 && (errno == ENOMEM || errno == ENOBUFS)) return Read::no_memory;
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return Read::nothing;
  // The peer closed with unread data. Told once; earlier frames still wait.
  if (size < 0 && errno == ECONNRESET) return Read::error;
  if (size >= 0) take_control(message, frame);
  // An empty packet looks like the end of the channel, but has control data.
  if (size < 0 || (size == 0 && message.msg_controllen == 0)) {
    channel_poll_.reset();
    return Read::nothing;
  }
  liveswap_frame header;
  if (static_cast<std::size_t>(size) < sizeof header) return Read::junk;
  std::memcpy(&header, buffer, sizeof header);
  frame.kind = header.kind;
  frame.value = header.value;
  frame.count = header.count;
  if (handlers_.frame)
    frame.text.assign(buffer + sizeof header, static_cast<std::size_t>(size) - sizeof header);
  return Read::frame;
}

}  // namespace liveswap::master
