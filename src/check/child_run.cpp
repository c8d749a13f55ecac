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

#include "spawn/received_fd.hpp"

namespace liveswap::checks {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t output_limit = 16 * 1024;

// Limit of output and frames between two looks at the time limit: a child may write faster than this process
// reads.
constexpr int reads_at_once = 64;

// Limit after the child's exit: more than pipe and channel can hold. Processes left behind may go on writing.
constexpr int reads_after_exit = 4096;

// Time after SIGTERM in which the worker host kills processes that the library started.
constexpr milliseconds term_grace{1'000};

// Received descriptors must not be closed on this thread, as close() may block (received_fd.hpp).
ssize_t receive(int channel, char* packet, std::size_t size) {
  constexpr std::size_t descriptors_limit = 253;  // SCM_MAX_FD in the kernel
  alignas(cmsghdr) char control[CMSG_SPACE(descriptors_limit * sizeof(int))];
  iovec text{packet, size};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = ::recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return n;
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= one->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(one) + at, sizeof fd);
      spawn::discard(UniqueFd::adopt(fd));
    }
  }
  return n;
}

class Run {
 public:
  Run(milliseconds limit, const OnFrame& on_frame) : on_frame_(on_frame), due_(Clock::now() + limit) {}

  Result<void> start(spawn::Request request) {
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
    auto child = spawn::spawn(request);
    if (!child) return tl::unexpected<Error>(child.error());
    child_ = std::move(*child);
    return {};
  }

  ChildEnd finish() {
    while (!step()) {
    }
    read_channel(reads_after_exit);
    read_output(reads_after_exit);
    siginfo_t info{};
    wait_for(info, WEXITED | WNOWAIT);
    end_.left = clean_up();
    // Reaps the child only now, so that no other process gets its pid or group before.
    wait_for(info, WEXITED);
    end_.number = info.si_status;
    if (end_.how != ChildEnd::How::overdue)
      end_.how = info.si_code == CLD_EXITED ? ChildEnd::How::exited : ChildEnd::How::killed;
    return std::move(end_);
  }

 private:
  // True: the child has exited.
  bool step() {
    pollfd wake[] = {
        {child_.pidfd.get(), POLLIN, 0}, {output_.get(), POLLIN, 0}, {channel_.get(), POLLIN, 0}};
    const auto left = std::chrono::ceil<milliseconds>(due_ - Clock::now()).count();
    ::poll(wake, 3, killed_ ? -1 : static_cast<int>(std::clamp<long long>(left, 0, 60'000)));
    if (wake[1].revents != 0) read_output(reads_at_once);
    if (wake[2].revents != 0) read_channel(reads_at_once);
    if (wake[0].revents != 0) return true;
    if (!killed_ && Clock::now() >= due_) end_child();
    return false;
  }

  void end_child() {
    killed_ = end_.how == ChildEnd::How::overdue;
    end_.how = ChildEnd::How::overdue;
    due_ = Clock::now() + term_grace;
    ::kill(killed_ ? -child_.pid : child_.pid, killed_ ? SIGKILL : SIGTERM);
  }

  // Reads what is available; closes the descriptor at end of file.
  void read_output(int times) {
    static thread_local char bytes[64 * 1024];
    for (; output_ && times > 0; --times) {
      const ssize_t n = ::read(output_.get(), bytes, sizeof bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;
      if (n == 0) output_.reset();
      end_.output.append(bytes, static_cast<std::size_t>(n));
      if (end_.output.size() > 2 * output_limit) end_.output.erase(0, end_.output.size() - output_limit);
    }
  }

  void read_channel(int times) {
    static thread_local char packet[sizeof(liveswap_frame) + LIVESWAP_TEXT_MAX];
    for (; channel_ && times > 0; --times) {
      const ssize_t n = receive(channel_.get(), packet, sizeof packet);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) channel_.reset();
      if (n < static_cast<ssize_t>(sizeof(liveswap_frame))) continue;
      liveswap_frame frame{};
      std::memcpy(&frame, packet, sizeof frame);
      const auto limit =
          on_frame_(frame, {packet + sizeof frame, static_cast<std::size_t>(n) - sizeof frame});
      if (limit && end_.how != ChildEnd::How::overdue) due_ = Clock::now() + *limit;
    }
  }

  // Does not reap with WNOWAIT.
  void wait_for(siginfo_t& info, int options) {
    while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child_.pidfd.get()), &info, options) !=
               0 &&
           errno == EINTR) {
    }
  }

  std::vector<LeftProcess> clean_up() {
    std::error_code failed;
    // At end of file, no process has the pipe open.
    const auto pipe =
        output_
            ? std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(output_.get()), failed).string()
            : std::string("none");
    auto left = find_left(child_.pid, child_.pid, pipe);
    if (std::any_of(left.begin(), left.end(), [](const LeftProcess& process) { return process.in_group; }))
      ::kill(-child_.pid, SIGKILL);
    // These have been killed with the child, but may not have exited yet.
    if (end_.how == ChildEnd::How::overdue)
      std::erase_if(left, [](const LeftProcess& process) { return process.in_group; });
    return left;
  }

  const OnFrame& on_frame_;
  Clock::time_point due_;
  bool killed_ = false;
  spawn::Child child_;
  UniqueFd output_;
  UniqueFd channel_;
  ChildEnd end_;
};

}  // namespace

Result<ChildEnd> run_child(spawn::Request request, milliseconds limit, const OnFrame& on_frame) {
  Run run(limit, on_frame);
  if (auto started = run.start(std::move(request)); !started) return tl::unexpected<Error>(started.error());
  return run.finish();
}

}  // namespace liveswap::checks
