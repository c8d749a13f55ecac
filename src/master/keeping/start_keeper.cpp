#include "master/keeping/start_keeper.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "spawn/spawner.hpp"
#include "spawn/worker_host.hpp"

namespace liveswap::master {
namespace {

// Without this, the keeper's second process would become a child of this one, which may be a subreaper.
class NoSubreaper {
 public:
  NoSubreaper() {
    ::prctl(PR_GET_CHILD_SUBREAPER, &before_);
    if (before_) ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
  NoSubreaper(const NoSubreaper&) = delete;
  NoSubreaper& operator=(const NoSubreaper&) = delete;
  ~NoSubreaper() {
    if (before_) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  }

 private:
  int before_ = 0;
};

Result<void> wait_until_ready(spawn::Child child, const std::string& program) {
  siginfo_t info{};
  int found = -1;
  do found = ::waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED);
  while (found != 0 && errno == EINTR);
  if (found == 0 && (info.si_code != CLD_EXITED || info.si_status != 0))
    return fail(fmt::format("{} has ended with {} {}", program,
                            info.si_code == CLD_EXITED ? "exit status" : "signal", info.si_status));
  return {};
}

}  // namespace

Result<UniqueFd> start_keeper(const std::string& program, const std::string& state_dir) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return os_fail("make the connection to", program, errno);
  auto ours = UniqueFd::adopt(ends[0]);
  const auto theirs = UniqueFd::adopt(ends[1]);
  spawn::Request request;
  request.program = program;
  request.arguments = {"liveswap-keeper", state_dir};
  request.environment = spawn::child_environment({});
  request.descriptors = {-1, STDOUT_FILENO, STDERR_FILENO, theirs.get()};
  const NoSubreaper none;
  auto child = spawn::spawn(request);
  if (!child) return tl::unexpected<Error>(child.error());
  if (auto ready = wait_until_ready(std::move(*child), program); !ready)
    return tl::unexpected<Error>(ready.error());
  return ours;
}

}  // namespace liveswap::master
