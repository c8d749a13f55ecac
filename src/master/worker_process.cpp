#include "master/worker_process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>

namespace liveswap::master {
namespace {

// Frames that are taken from one worker before the others get their turn.
constexpr int frames_at_once = 64;

std::string packet_of(std::uint32_t kind, std::int32_t value, std::string_view text) {
  const liveswap_frame header{kind, value, 0};
  std::string packet(reinterpret_cast<const char*>(&header), sizeof header);
  packet += text;
  return packet;
}

Ending ending_of(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) {
    const auto code = std::to_string(info.si_status);
    return {"exit status " + code, code, info.si_status == 0};
  }
  const char* name = ::sigabbrev_np(info.si_status);
  const std::string signal = name ? fmt::format("SIG{}", name) : fmt::format("signal {}", info.si_status);
  return {"killed by " + signal + (info.si_code == CLD_DUMPED ? " (core dumped)" : ""), signal, false};
}

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(uv_loop_t& loop, SpawnRequest request,
                                                            Handlers handlers) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return os_fail("make the channel of", "a worker", errno);
  auto ours = UniqueFd::adopt(ends[0]);
  const auto theirs = UniqueFd::adopt(ends[1]);
  request.descriptors.at(LIVESWAP_FD_CHANNEL) = theirs.get();
  auto child = spawn(request);
  if (!child) return tl::unexpected<Error>(child.error());
  std::unique_ptr<WorkerProcess> worker(
      new WorkerProcess(loop, std::move(*child), std::move(ours), std::move(handlers)));
  if (!worker->exit_poll_.usable() || !worker->channel_poll_->usable()) return fail("cannot watch a worker");
  return worker;
}

WorkerProcess::WorkerProcess(uv_loop_t& loop, Child child, UniqueFd channel, Handlers handlers)
    : child_(std::move(child)),
      channel_(std::move(channel)),
      handlers_(std::move(handlers)),
      exit_poll_(loop, child_.pidfd.get()) {
  channel_poll_.emplace(loop, channel_.get());
  exit_poll_.start(UV_READABLE, [this](int) { on_exit(); });
  channel_poll_->start(UV_READABLE, [this](int events) { on_channel(events); });
}

WorkerProcess::~WorkerProcess() {
  // The polls must let go of the descriptors before those are closed.
  exit_poll_.stop();
  channel_poll_.reset();
  if (child_.pid < 0) return;
  signal(SIGKILL);
  siginfo_t info{};
  // Not by the descriptor: libuv has made that non-blocking, and waitid() heeds it.
  ::waitid(P_PID, static_cast<id_t>(child_.pid), &info, WEXITED);
}

void WorkerProcess::signal(int number) {
  if (child_.pid >= 0) ::syscall(SYS_pidfd_send_signal, child_.pidfd.get(), number, nullptr, 0);
}

bool WorkerProcess::write_frame(const std::string& packet) {
  const ssize_t sent = ::send(channel_.get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  // A worker that has gone gets nothing and needs nothing.
  return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != EINTR);
}

void WorkerProcess::send(std::uint32_t kind, std::int32_t value, std::string_view text) {
  if (!channel_poll_) return;
  auto packet = packet_of(kind, value, text);
  if (outbox_.empty() && write_frame(packet)) return;
  outbox_.push_back(std::move(packet));
  channel_poll_->watch(UV_READABLE | UV_WRITABLE);
}

bool WorkerProcess::offer(std::uint32_t kind, std::int32_t value, std::string_view text) {
  return channel_poll_ && outbox_.empty() && write_frame(packet_of(kind, value, text));
}

void WorkerProcess::on_channel(int events) {
  if (events & UV_WRITABLE) {
    while (!outbox_.empty() && write_frame(outbox_.front())) outbox_.pop_front();
    if (outbox_.empty()) channel_poll_->watch(UV_READABLE);
  }
  if (events & UV_READABLE)
    for (int i = 0; i < frames_at_once && read_frame(); ++i) continue;
}

// False when no frame waits. The end of the channel is only noted: the process' own end is what counts.
bool WorkerProcess::read_frame() {
  if (!channel_poll_) return false;
  // One buffer for all workers: frames are read one after the other on one thread, and a worker need not cost 64 KiB.
  static thread_local char buffer[sizeof(liveswap_frame) + LIVESWAP_TEXT_MAX];
  const ssize_t size = ::recv(channel_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  // The other end closed with something unread; what it had sent before still waits.
  if (size < 0 && errno == ECONNRESET) return true;
  if (size <= 0) {
    channel_poll_.reset();
    return false;
  }
  if (static_cast<std::size_t>(size) < sizeof(liveswap_frame)) return true;
  liveswap_frame header;
  std::memcpy(&header, buffer, sizeof header);
  Frame frame{header.kind, header.value, header.count,
              std::string(buffer + sizeof header, static_cast<std::size_t>(size) - sizeof header)};
  if (handlers_.frame) handlers_.frame(frame);
  return true;
}

void WorkerProcess::on_exit() {
  while (read_frame()) continue;
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(child_.pidfd.get());
  const int found = ::waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
  if (found == 0 && info.si_pid == 0) return;
  // What it has forked would go on with the listening sockets. Until it is reaped the group's number is its own.
  if (found == 0 && !ending_of(info).clean) ::kill(-child_.pid, SIGKILL);
  const int reaped = ::waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WEXITED);
  exit_poll_.stop();
  child_.pid = -1;
  // ECHILD: a program that embeds liveswap has reaped it for us.
  const Ending ending = reaped == 0 ? ending_of(info) : Ending{"an end that somebody else reaped", "unknown", false};
  // The handler may destroy this object.
  if (const auto ended = std::move(handlers_.ended)) ended(ending);
}

}  // namespace liveswap::master
