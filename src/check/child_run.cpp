#include "check/child_run.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace liveswap::preflight {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t output_limit = 16 * 1024;

class Run {
 public:
  Run(milliseconds limit, const OnFrame& on_frame) : on_frame_(on_frame), due_(Clock::now() + limit) {}

  Result<void> start(master::SpawnRequest request) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return os_fail("make a pipe for", request.program, errno);
    output_ = UniqueFd::adopt(ends[0]);
    const auto child_output = UniqueFd::adopt(ends[1]);
    ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
    request.descriptors = {-1, child_output.get(), child_output.get()};
    UniqueFd child_channel;
    if (on_frame_) {
      if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return os_fail("make a channel for", request.program, errno);
      channel_ = UniqueFd::adopt(ends[0]);
      child_channel = UniqueFd::adopt(ends[1]);
      request.descriptors.push_back(child_channel.get());
    }
    auto child = master::spawn(request);
    if (!child) return tl::unexpected<Error>(child.error());
    child_ = std::move(*child);
    return {};
  }

  ChildEnd finish() {
    while (!step()) {
    }
    read_channel();
    read_output();
    siginfo_t info{};
    wait_for(info, WEXITED | WNOWAIT);
    end_.left = clean_up();
    // Until now the number of the process, and so that of its group, was its own.
    wait_for(info, WEXITED);
    end_.number = info.si_status;
    if (end_.how != ChildEnd::How::overdue)
      end_.how = info.si_code == CLD_EXITED ? ChildEnd::How::exited : ChildEnd::How::killed;
    return std::move(end_);
  }

 private:
  // True once the child has ended.
  bool step() {
    pollfd wake[] = {{child_.pidfd.get(), POLLIN, 0}, {output_.get(), POLLIN, 0}, {channel_.get(), POLLIN, 0}};
    const auto left = std::chrono::ceil<milliseconds>(due_ - Clock::now()).count();
    ::poll(wake, 3, killed_ ? -1 : static_cast<int>(std::clamp<long long>(left, 0, 60'000)));
    if (wake[1].revents != 0) read_output();
    if (wake[2].revents != 0) read_channel();
    if (wake[0].revents != 0) return true;
    if (!killed_ && Clock::now() >= due_) {
      end_.how = ChildEnd::How::overdue;
      killed_ = true;
      ::kill(-child_.pid, SIGKILL);
    }
    return false;
  }

  // What is there now; at its end the descriptor is closed.
  void read_output() {
    char bytes[4096];
    while (output_) {
      const ssize_t n = ::read(output_.get(), bytes, sizeof bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;
      if (n == 0) output_.reset();
      end_.output.append(bytes, static_cast<std::size_t>(n));
      if (end_.output.size() > 2 * output_limit) end_.output.erase(0, end_.output.size() - output_limit);
    }
  }

  void read_channel() {
    static thread_local char packet[sizeof(liveswap_frame) + LIVESWAP_TEXT_MAX];
    while (channel_) {
      const ssize_t n = ::recv(channel_.get(), packet, sizeof packet, MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) channel_.reset();
      if (n < static_cast<ssize_t>(sizeof(liveswap_frame))) continue;
      liveswap_frame frame{};
      std::memcpy(&frame, packet, sizeof frame);
      const auto limit = on_frame_(frame, {packet + sizeof frame, static_cast<std::size_t>(n) - sizeof frame});
      if (limit) due_ = Clock::now() + *limit;
    }
  }

  // Reaps nothing with WNOWAIT.
  void wait_for(siginfo_t& info, int options) {
    while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child_.pidfd.get()), &info, options) != 0 &&
           errno == EINTR) {
    }
  }

  std::vector<LeftProcess> clean_up() {
    std::error_code failed;
    // The pipe is at its end when nobody has it open any more.
    const auto pipe = output_ ? std::filesystem::read_symlink(
                                    "/proc/self/fd/" + std::to_string(output_.get()), failed).string()
                              : std::string("none");
    auto left = find_left(child_.pid, child_.pid, pipe);
    if (std::any_of(left.begin(), left.end(), [](const LeftProcess& process) { return process.in_group; }))
      ::kill(-child_.pid, SIGKILL);
    // What an overdue child had started had to go with it, and may still be on its way.
    if (killed_) std::erase_if(left, [](const LeftProcess& process) { return process.in_group; });
    return left;
  }

  const OnFrame& on_frame_;
  Clock::time_point due_;
  bool killed_ = false;
  master::Child child_;
  UniqueFd output_;
  UniqueFd channel_;
  ChildEnd end_;
};

}  // namespace

Result<ChildEnd> run_child(master::SpawnRequest request, milliseconds limit, const OnFrame& on_frame) {
  Run run(limit, on_frame);
  if (auto started = run.start(std::move(request)); !started) return tl::unexpected<Error>(started.error());
  return run.finish();
}

}  // namespace liveswap::preflight
