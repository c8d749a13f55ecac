#include "support/process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

namespace scenario {
namespace {

using liveswap::UniqueFd;

std::string next_output_path(const TempDir& dir) {
  static int number = 0;
  return dir / ("output." + std::to_string(++number));
}

std::vector<char*> pointers(const Words& words) {
  std::vector<char*> result;
  for (const auto& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

void redirect(const std::string& path, int to) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || ::dup2(fd, to) < 0) ::_exit(126);
}

}  // namespace

Process::Process(const TempDir& dir, const Setup& setup) {
  const auto path = next_output_path(dir);
  out_path_ = path + ".out";
  err_path_ = path + ".err";
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const auto input = UniqueFd::adopt(ends[0]);
  input_ = UniqueFd::adopt(ends[1]);
  start(setup, input.get());
}

void Process::start(const Setup& setup, int input) {
  const auto arguments = pointers(setup.command);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ > 0) {
    pidfd_ = UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    REQUIRE(pidfd_);
    return;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Resets also signals that the tests themselves inherited as ignored, from nohup or a shell's background.
  for (const int number : {SIGPIPE, SIGHUP, SIGINT, SIGQUIT}) ::signal(number, SIG_DFL);
  if (::getppid() != parent) ::_exit(126);
  ::dup2(input, STDIN_FILENO);
  redirect(out_path_, STDOUT_FILENO);
  redirect(err_path_, STDERR_FILENO);
  if (!setup.directory.empty() && ::chdir(setup.directory.c_str()) != 0) ::_exit(126);
  for (const auto& [name, value] : setup.environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      status_(other.status_),
      out_path_(std::move(other.out_path_)),
      err_path_(std::move(other.err_path_)),
      input_(std::move(other.input_)),
      pidfd_(std::move(other.pidfd_)) {}

Process::~Process() {
  if (pid_ < 0 || status_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Process::ended_within(milliseconds limit) {
  if (status_) return true;
  pollfd end{pidfd_.get(), POLLIN, 0};
  int status = 0;
  if (::poll(&end, 1, static_cast<int>(limit.count())) != 1) return false;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

bool Process::running() { return !ended_within(milliseconds(0)); }

void Process::signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

void Process::write(const std::string& text) {
  REQUIRE(::write(input_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

Finished Process::wait(milliseconds limit) {
  const bool ended = ended_within(limit);
  REQUIRE_MESSAGE(ended, "process ", pid_, " still runs after ", limit.count(), " ms; it said:\n", out(),
                  err());
  return {*status_, out(), err()};
}

bool Process::says(const std::string& text, milliseconds limit) {
  const auto said = [&] { return contains(out(), text) || contains(err(), text); };
  return eventually([&] { return said() || !running(); }, limit) && said();
}

Finished run(const TempDir& dir, const Process::Setup& setup, milliseconds limit) {
  Process process(dir, setup);
  process.close_input();
  return process.wait(limit);
}

}  // namespace scenario
