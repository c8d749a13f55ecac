#include "master/workers/worker_process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>

#include "master/state/worker_state.hpp"

namespace liveswap::master {
namespace {

// Frames read after the worker's exit: more than a channel holds. A left process may go on sending.
constexpr int frames_of_the_dead = 4096;

// Between two checks whether left processes have finished.
constexpr Milliseconds outlived_step{100};

Ending ending_of(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) {
    const auto code = std::to_string(info.si_status);
    return {"exit status " + code, code, info.si_status == 0, 0};
  }
  const char* name = ::sigabbrev_np(info.si_status);
  const std::string signal = name ? fmt::format("SIG{}", name) : fmt::format("signal {}", info.si_status);
  return {"killed by " + signal + (info.si_code == CLD_DUMPED ? " (core dumped)" : ""), signal, false,
          info.si_status};
}

// As in the kernel's <linux/pidfd.h> of Linux 6.15, which Debian 12 does not have.
struct PidfdInfo {
  std::uint64_t mask = 1 << 3;  // PIDFD_INFO_EXIT
  std::uint64_t cgroup = 0;
  std::uint32_t ids[11] = {};
  std::int32_t status = 0;  // as from wait()
};
static_assert(sizeof(PidfdInfo) == 64);

// How a process ended that is no child: its parent has got the status, and only Linux 6.15 tells it to
// others. `clean` is decided by what the worker has said (worker_pool.cpp).
Ending ending_of_other(int pidfd) {
  PidfdInfo info;
  const std::uint64_t wanted = info.mask;
  if (::ioctl(pidfd, _IOWR(0xFF, 11, PidfdInfo), &info) == 0 && (info.mask & wanted) != 0) {
    siginfo_t status{};
    status.si_code = WIFEXITED(info.status) ? CLD_EXITED : WCOREDUMP(info.status) ? CLD_DUMPED : CLD_KILLED;
    status.si_status = WIFEXITED(info.status) ? WEXITSTATUS(info.status) : WTERMSIG(info.status);
    return ending_of(status);
  }
  return {"it has ended, and its exit status is unknown, since a former master had started it", "unknown",
          false, 0, true};
}

}  // namespace

const char* stage_word(int stage) {
  switch (static_cast<liveswap_stage>(stage)) {
    case LIVESWAP_STAGE_SPAWN: return "spawn";
    case LIVESWAP_STAGE_OPEN: return "open";
    case LIVESWAP_STAGE_LINK: return "link";
    case LIVESWAP_STAGE_ENTRY: return "entry";
    case LIVESWAP_STAGE_ABI: return "ABI";
    case LIVESWAP_STAGE_SELFTEST: return "selftest";
    case LIVESWAP_STAGE_START: return "start";
    case LIVESWAP_STAGE_READY: return "ready";
    case LIVESWAP_STAGE_RUN: return "run";
    case LIVESWAP_STAGE_SYNTAX: return "syntax";
  }
  return "unknown";
}

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(uv_loop_t& loop, spawn::Request request,
                                                            Handlers handlers) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return os_fail("make the channel of", "a worker", errno);
  auto ours = UniqueFd::adopt(ends[0]);
  const int on = 1;
  if (::setsockopt(ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
    return os_fail("receive the senders' credentials on the channel of", "a worker", errno);
  const auto theirs = UniqueFd::adopt(ends[1]);
  request.descriptors.at(LIVESWAP_FD_CHANNEL) = theirs.get();
  auto output = Output::open(loop, request);
  if (!output) return tl::unexpected<Error>(output.error());
  auto child = spawn::spawn(request);
  if (!child) return tl::unexpected<Error>(child.error());
  return watch(loop, std::move(*child), std::move(ours), std::move(*output), std::move(handlers));
}

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::watch(uv_loop_t& loop, spawn::Child child,
                                                            UniqueFd channel, std::unique_ptr<Output> output,
                                                            Handlers handlers) {
  std::unique_ptr<WorkerProcess> worker(
      new WorkerProcess(loop, std::move(child), std::move(channel), std::move(output), std::move(handlers)));
  if (!worker->exit_poll_.usable() || !worker->channel_poll_->usable() || !worker->output_->usable())
    return fail("cannot watch a worker");
  return worker;
}

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::adopt(uv_loop_t& loop, const state::WorkerState& from,
                                                            Handlers handlers) {
  auto output = Output::adopt(loop, from.output);
  auto worker = watch(loop, spawn::adopt(from.pid, UniqueFd::adopt(from.pidfd.number)),
                      UniqueFd::adopt(from.channel.number), std::move(output), std::move(handlers));
  if (worker) (*worker)->adopted_ = true;
  return worker;
}

void WorkerProcess::save(state::WorkerState& into) const {
  into.pid = child_.pid;
  into.pidfd = {child_.pidfd.get()};
  into.channel = {channel_.get()};
  into.output = output_->save();
}

WorkerProcess::WorkerProcess(uv_loop_t& loop, spawn::Child child, UniqueFd channel,
                             std::unique_ptr<Output> output, Handlers handlers)
    : child_(std::move(child)),
      channel_(std::move(channel)),
      output_(std::move(output)),
      handlers_(std::move(handlers)),
      pause_(loop),
      outlived_(loop),
      rest_(loop),
      exit_poll_(loop, child_.pidfd.get()) {
  output_->started();
  outlived_.on_due([this] { on_exit(); });
  channel_poll_.emplace(loop, channel_.get());
  exit_poll_.start(UV_READABLE, [this](int) { on_exit(); });
  channel_poll_->start(UV_READABLE, [this](int events) { on_channel(events); });
}

WorkerProcess::~WorkerProcess() {
  // The polls use the descriptors: stop them first.
  exit_poll_.stop();
  close_channel();
  if (child_.pid < 0) return;
  signal(SIGKILL);
  siginfo_t info{};
  // Not by pidfd: libuv made that non-blocking, and waitid() would not wait.
  ::waitid(P_PID, static_cast<id_t>(child_.pid), &info, WEXITED);
}

std::string WorkerProcess::last_output() {
  output_->catch_up();
  return output_->last();
}

// The kernel keeps the last change only. A pidfd is not reused, so WNOHANG finds this process or none.
std::optional<bool> WorkerProcess::take_stop() {
  std::optional<bool> stopped;
  if (child_.pid < 0) return stopped;
  constexpr int changes_most = 4;
  for (int i = 0; i < changes_most; ++i) {
    siginfo_t info{};
    const auto pidfd = static_cast<id_t>(child_.pidfd.get());
    const int found = ::waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WSTOPPED | WCONTINUED | WNOHANG);
    if (found != 0 || info.si_pid == 0) break;
    stopped = info.si_code != CLD_CONTINUED;
  }
  return stopped;
}

void WorkerProcess::signal(int number) {
  if (child_.pid < 0) return;
  // The leader is not reaped, so the group's number is not reused. Of an ended process that is no child
  // nothing is left to signal here.
  if (has_ended_ && is_child_) ::kill(-child_.pid, number);
  else ::syscall(SYS_pidfd_send_signal, child_.pidfd.get(), number, nullptr, 0);
}

// While others of the group are waited for, a child stays unreaped, so that the pid and group are not reused.
void WorkerProcess::on_exit() {
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(child_.pidfd.get());
  const int found = ::waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
  if (found == 0 && info.si_pid == 0) return;
  if (found != 0 && adopted_) is_child_ = false;
  // Starts the timer first, which cannot fail: if a call below throws, the timer calls on_exit() again.
  if (has_ended_) outlived_.start(outlived_step);
  for (int i = 0; i < frames_of_the_dead && read_frame(true); ++i) continue;
  const bool may_outlive = (found == 0 || !is_child_) && handlers_.outlived;
  if (!may_outlive || !handlers_.outlived()) return reap();
  outlived_.start(outlived_step);
  has_ended_ = true;
  exit_poll_.stop();
}

void WorkerProcess::reap() {
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(child_.pidfd.get());
  const int found = ::waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
  // Forked children would keep the listening sockets. Until the reaping the group's number is not reused.
  if (found == 0 && !ending_of(info).clean) ::kill(-child_.pid, SIGKILL);
  // ECHILD: the embedding program has reaped the process. Allocate before the reaping, which cannot be
  // repeated if the allocation throws.
  const Ending ending =
      found == 0 ? ending_of(info)
      : adopted_ ? ending_of_other(child_.pidfd.get())
                 : Ending{"unknown end: other code in the master's process reaped the worker", "unknown"};
  guarded([this] { output_->catch_up(); });
  ::waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WEXITED);
  exit_poll_.stop();
  outlived_.stop();
  child_.pid = -1;
  if (const auto ended = std::move(handlers_.ended)) ended(ending);
}

}  // namespace liveswap::master
