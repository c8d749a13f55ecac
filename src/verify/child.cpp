#include "verify/child.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "verify/proc.hpp"

namespace liveswap::verify {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const auto& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

// Runs in the child of a multi-threaded process: system calls only.
[[noreturn]] void exec_child(char* const* words, int input, int output, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(126);
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
      ::dup2(output, STDERR_FILENO) < 0)
    ::_exit(126);
  ::execv(words[0], words);
  ::_exit(127);
}

std::string text_of(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  const char* name = ::sigabbrev_np(WTERMSIG(status));
  return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", WTERMSIG(status));
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& words, const std::string& output) {
  const auto nothing = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing) return os_fail("open", "/dev/null", errno);
  const auto file = UniqueFd::adopt(::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file) return os_fail("open", output, errno);
  const auto arguments = pointers(words);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return os_fail("start", words.front(), errno);
  if (pid == 0) exec_child(arguments.data(), nothing.get(), file.get(), parent);
  return Child(pid, open_process(pid));
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      ending_(std::move(other.ending_)) {}

Child::~Child() {
  if (pid_ < 0 || !ending_.empty()) return;
  signal(SIGKILL);
  // A process exits after SIGKILL unless the kernel hangs.
  ended(std::chrono::seconds(10));
}

void Child::signal(int number) const { signal_process(pidfd_, number); }

bool Child::ended(milliseconds limit) {
  if (!ending_.empty()) return true;
  pollfd polled{pidfd_.get(), POLLIN, 0};
  int status = 0;
  if (::poll(&polled, 1, static_cast<int>(limit.count())) != 1 || ::waitpid(pid_, &status, WNOHANG) != pid_)
    return false;
  ending_ = text_of(status);
  return true;
}

UniqueFd open_process(pid_t pid) {
  return UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

void signal_process(const UniqueFd& process, int number) {
  ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0);
}

void become_subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

// Repeats: a killed process leaves its children to this process.
std::vector<std::string> kill_descendants(milliseconds limit) {
  std::vector<std::string> ended;
  const auto end = Clock::now() + limit;
  while (Clock::now() < end) {
    const auto children = children_of(::getpid());
    if (children.empty()) break;
    for (const pid_t pid : children) {
      const auto process = open_process(pid);
      const std::string name = fmt::format("{} ({})", name_of(pid), pid);
      if (state_of(pid) != 'Z') ended.push_back(name);
      signal_process(process, SIGKILL);
      pollfd polled{process.get(), POLLIN, 0};
      ::poll(&polled, 1, 1000);
      ::waitpid(pid, nullptr, WNOHANG);
    }
  }
  return ended;
}

}  // namespace liveswap::verify
