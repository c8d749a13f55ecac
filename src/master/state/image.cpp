#include "master/state/image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/text.hpp"

namespace liveswap::master::state {
namespace {

// Those whose default action would end the next image before it has installed its handlers, and SIGCHLD,
// which it must not miss.
constexpr std::array handled{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};

sigset_t handled_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : handled) ::sigaddset(&set, number);
  return set;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> found;
  for (const auto& text : texts) found.push_back(const_cast<char*>(text.c_str()));
  found.push_back(nullptr);
  return found;
}

bool is_own_variable(std::string_view entry) {
  for (const std::string_view name : {variable, failure_variable})
    if (entry.starts_with(name) && entry.substr(name.size()).starts_with('=')) return true;
  return false;
}

std::vector<std::string> environment_with(const std::string& handed, const std::string& failure) {
  std::vector<std::string> found;
  for (char** entry = environ; *entry; ++entry)
    if (!is_own_variable(*entry)) found.emplace_back(*entry);
  found.push_back(fmt::format("{}={}", variable, handed));
  if (!failure.empty()) found.push_back(fmt::format("{}={}", failure_variable, failure));
  return found;
}

void set_flag(int fd, bool close_on_exec) { ::fcntl(fd, F_SETFD, close_on_exec ? FD_CLOEXEC : 0); }

std::string take_variable(const char* name) {
  const char* value = ::getenv(name);
  std::string text = value ? value : "";
  ::unsetenv(name);
  return text;
}

UniqueFd open_own_program() { return UniqueFd::adopt(::open("/proc/self/exe", O_PATH | O_CLOEXEC)); }

}  // namespace

Result<std::string> own_path() {
  char path[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  if (size < 0) return os_fail("read", "/proc/self/exe", errno);
  std::string_view found(path, static_cast<std::size_t>(size));
  constexpr std::string_view replaced = " (deleted)";
  if (found.ends_with(replaced)) found.remove_suffix(replaced.size());
  return std::string(found);
}

Result<void> check_program(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return os_fail("look at", path, errno);
  if (!S_ISREG(info.st_mode)) return fail(path + " is no regular file");
  if (::access(path.c_str(), X_OK) != 0) return os_fail("execute", path, errno);
  if (::geteuid() != 0) return {};
  if (info.st_uid != 0)
    return fail(fmt::format("{} belongs to user {}, expected root, since the master runs as root", path,
                            info.st_uid));
  if (info.st_mode & (S_IWGRP | S_IWOTH))
    return fail(fmt::format(
        "{} has mode {:04o}, expected that only root may write to it, since the master runs as root", path,
        info.st_mode & 07777));
  return {};
}

Error execute(const Execution& wanted) {
  const auto former = open_own_program();
  const auto environment = environment_with(
      former ? fmt::format("{}:{}", wanted.state, former.get()) : std::to_string(wanted.state), "");
  const auto words = pointers_to(wanted.arguments);
  const auto variables = pointers_to(environment);
  std::vector<int> fds = wanted.handed;
  fds.push_back(wanted.state);
  if (former) fds.push_back(former.get());
  const sigset_t blocked = handled_signals();
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  for (const int fd : fds) set_flag(fd, false);
  ::execve(wanted.program.c_str(), words.data(), variables.data());
  Error failed = os_error("execute", wanted.program, errno);
  for (const int fd : fds) set_flag(fd, true);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return failed;
}

std::optional<Inherited> inherited() {
  if (!::getenv(variable)) return std::nullopt;
  const std::string handed = take_variable(variable);
  Inherited found;
  found.failure = take_variable(failure_variable);
  const auto colon = handed.find(':');
  const auto number = number_in<int>(std::string_view(handed).substr(0, colon));
  if (!number || *number <= STDERR_FILENO) return std::nullopt;
  found.state = UniqueFd::adopt(*number);
  set_flag(*number, true);
  if (colon == std::string::npos) return found;
  if (const auto former = number_in<int>(std::string_view(handed).substr(colon + 1))) {
    found.former = UniqueFd::adopt(*former);
    set_flag(*former, true);
  }
  // Executed by its descriptor (go_back()), a program would be named by the number.
  ::prctl(PR_SET_NAME, "liveswap");
  return found;
}

void go_back(const Inherited& from, const std::vector<std::string>& arguments, const std::string& failure) {
  if (!from.former) return;
  const auto environment = environment_with(std::to_string(from.state.get()), failure);
  const auto words = pointers_to(arguments);
  const auto variables = pointers_to(environment);
  set_flag(from.state.get(), false);
  ::syscall(SYS_execveat, from.former.get(), "", words.data(), variables.data(), AT_EMPTY_PATH);
  set_flag(from.state.get(), true);
}

void keep_from_children(const std::vector<int>& fds) {
  for (const int fd : fds) set_flag(fd, true);
}

void block_signals() {
  const sigset_t blocked = handled_signals();
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

void release_signals() {
  const sigset_t blocked = handled_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
}

}  // namespace liveswap::master::state
