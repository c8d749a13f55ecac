#include "master/keeping/keeper_start.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "spawn/worker_host.hpp"

namespace liveswap::master {
namespace {

constexpr Milliseconds start_limit{5'000};
constexpr int kill_limit_ms = 2'000;

}  // namespace

KeeperStart::NoSubreaper::NoSubreaper() {
  ::prctl(PR_GET_CHILD_SUBREAPER, &before_);
  if (before_) ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

KeeperStart::NoSubreaper::~NoSubreaper() {
  if (before_) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

KeeperStart::KeeperStart(uv_loop_t& loop, std::string program, Done done)
    : program_(std::move(program)), done_(std::move(done)), loop_(loop), limit_(loop) {}

Result<std::unique_ptr<KeeperStart>> KeeperStart::begin(uv_loop_t& loop, const std::string& program,
                                                        const std::string& state_dir, Done done) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return os_fail("make the connection to", program, errno);
  std::unique_ptr<KeeperStart> start(new KeeperStart(loop, program, std::move(done)));
  start->link_ = UniqueFd::adopt(ends[0]);
  const auto theirs = UniqueFd::adopt(ends[1]);
  spawn::Request request;
  request.program = program;
  request.arguments = {"liveswap-keeper", state_dir};
  request.environment = spawn::child_environment({});
  request.descriptors = {-1, STDOUT_FILENO, STDERR_FILENO, theirs.get()};
  auto child = spawn::spawn(request);
  if (!child) return tl::unexpected<Error>(child.error());
  start->child_ = std::move(*child);
  start->watch();
  return start;
}

void KeeperStart::watch() {
  ended_ = std::make_unique<Poll>(loop_, child_.pidfd.get());
  ended_->start(UV_READABLE, [this](int) { on_ended(); });
  limit_.start(start_limit, [this] {
    is_late_ = true;
    kill();
  });
}

void KeeperStart::kill() { ::syscall(SYS_pidfd_send_signal, child_.pidfd.get(), SIGKILL, nullptr, 0); }

// `status`: as from waitpid(). False: not ended.
bool KeeperStart::reap(int& status) {
  pid_t found = -1;
  do found = ::waitpid(child_.pid, &status, WNOHANG);
  while (found < 0 && errno == EINTR);
  if (found == 0) return false;
  child_.pid = -1;
  return true;
}

void KeeperStart::on_ended() {
  int status = 0;
  if (!reap(status)) return;
  ended_.reset();
  limit_.stop();
  const auto done = std::move(done_);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return done(std::move(link_));
  if (is_late_)
    return done(fail(fmt::format("{} has not started within {} s", program_, start_limit.count() / 1000)));
  done(fail(WIFEXITED(status) ? fmt::format("{} has ended with exit status {}", program_, WEXITSTATUS(status))
                              : fmt::format("{} has ended with signal {}", program_, WTERMSIG(status))));
}

KeeperStart::~KeeperStart() {
  if (child_.pid <= 0) return;
  kill();
  pollfd ended{child_.pidfd.get(), POLLIN, 0};
  ::poll(&ended, 1, kill_limit_ms);
  int status = 0;
  reap(status);
}

}  // namespace liveswap::master
