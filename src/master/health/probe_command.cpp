#include "master/health/probe_command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>

namespace liveswap::master {
namespace {

std::string in_one_line(std::string lines) {
  for (auto at = lines.find('\n'); at != std::string::npos; at = lines.find('\n', at))
    lines.replace(at, 1, " | ");
  return lines;
}

// Reads the contents of a full pipe.
constexpr int reads_at_end = 16;

std::string end_of(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return fmt::format("exit status {}", info.si_status);
  return fmt::format("killed by signal {}", info.si_status);
}

}  // namespace

ProbeCommand::ProbeCommand(uv_loop_t& loop, spawn::Request base, const std::vector<std::string>& command,
                           Milliseconds limit, Done done)
    : Probe(std::move(done)), loop_(loop), limit_time_(limit), begin_(loop), limit_(loop) {
  base.program = command.at(0);
  base.arguments = command;
  begin_.start(Milliseconds(0), [this, base] { begin(base); });
}

ProbeCommand::~ProbeCommand() {
  output_poll_.reset();
  exit_poll_.reset();
  if (child_.pid < 0) return;
  ::kill(-child_.pid, SIGKILL);
  siginfo_t info{};
  // Not by pidfd: libuv made it non-blocking, and waitid() would not wait.
  ::waitid(P_PID, static_cast<id_t>(child_.pid), &info, WEXITED);
}

void ProbeCommand::begin(spawn::Request request) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return finish(os_error("make", "a pipe", errno).text);
  output_ = UniqueFd::adopt(ends[0]);
  const auto writer = UniqueFd::adopt(ends[1]);
  ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);  // this end only: programs do not expect it
  request.descriptors = {-1, writer.get(), writer.get()};
  auto child = spawn::spawn(request);
  if (!child) return finish(child.error().text);
  child_ = std::move(*child);
  output_poll_.emplace(loop_, output_.get());
  exit_poll_.emplace(loop_, child_.pidfd.get());
  if (!output_poll_->usable() || !exit_poll_->usable()) return finish("cannot watch the command");
  output_poll_->start(UV_READABLE, [this](int) { read_output(); });
  exit_poll_->start(UV_READABLE, [this](int) { on_exit(); });
  limit_.start(limit_time_, [this] {
    late_ = true;
    ::kill(-child_.pid, SIGKILL);
  });
}

// Reads everything, so that the command never blocks; keeps little.
bool ProbeCommand::read_output() {
  char buffer[4096];
  const ssize_t size = ::read(output_.get(), buffer, sizeof buffer);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (size <= 0) {
    output_poll_->stop();
    return false;
  }
  said_.append({buffer, static_cast<std::size_t>(size)});
  return true;
}

void ProbeCommand::on_exit() {
  limit_.stop();
  for (int i = 0; i < reads_at_end && read_output(); ++i) continue;
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(child_.pidfd.get());
  // Not reaped, so the group's number is not reused.
  ::kill(-child_.pid, SIGKILL);
  const bool reaped = ::waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WEXITED) == 0;
  child_.pid = -1;
  const std::string line = in_one_line(said_.text());
  const auto with_line = [&](const std::string& how) { return line.empty() ? how : how + ": " + line; };
  if (late_) return finish(with_line(fmt::format("not done within {} ms", limit_time_.count())));
  if (reaped && info.si_code == CLD_EXITED && info.si_status == 0) return finish("");
  finish(with_line(reaped ? end_of(info)
                          : "unknown end: other code in the master's process reaped the command"));
}

}  // namespace liveswap::master
