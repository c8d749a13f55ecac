#include "cli/daemon.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/tail.hpp"
#include "base/unique_fd.hpp"
#include "cli/terminal.hpp"
#include "protocol/instance.hpp"
#include "systemd/environment.hpp"
#include "systemd/notify_socket.hpp"

// Protocol from child to parent: exit status as one byte, text, end of file. End of file alone: the child
// died. From parent to child: one byte, when the service manager has been told the child's pid.
namespace liveswap::cli {
namespace {

// O_NONBLOCK: opening a FIFO must not wait for a reader.
constexpr int log_flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

Outcome failed_to(const char* operation, const std::string& object) {
  return {failed, os_error(operation, object, errno).text};
}

// Ignores errors: the user may have killed the parent.
void tell_parent(UniqueFd& parent, const Outcome& outcome) {
  if (!parent) return;
  const std::string report = static_cast<char>(outcome.status) + outcome.text;
  [[maybe_unused]] const ssize_t sent = ::send(parent.get(), report.data(), report.size(), MSG_NOSIGNAL);
  parent.reset();
}

// A service manager takes messages from the main process alone, which is this one until then.
void announce_child(const UniqueFd& child, pid_t pid) {
  if (const auto address = systemd::variable("NOTIFY_SOCKET"))
    if (const auto manager = systemd::NotifySocket::open(*address))
      if (const int error = manager->send(systemd::main_pid(pid)); error != 0)
        complain(os_error("notify", *address, error).text);
  ::send(child.get(), "", 1, MSG_NOSIGNAL);
}

void wait_for_announcement(const UniqueFd& parent) {
  char byte = 0;
  while (::recv(parent.get(), &byte, 1, 0) < 0 && errno == EINTR) continue;
}

Outcome leave_terminal(const std::string& log_file) {
  ::setsid();
  const auto nothing = UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return failed_to("open", "/dev/null");
  const auto log = UniqueFd::adopt(::open(log_file.c_str(), log_flags, 0600));
  if (!log) return failed_to("open the log file", log_file);
  if (::dup2(nothing.get(), STDIN_FILENO) < 0 || ::dup2(log.get(), STDOUT_FILENO) < 0 ||
      ::dup2(log.get(), STDERR_FILENO) < 0)
    return failed_to("leave the terminal for", log_file);
  return {};
}

Outcome run_as_child(UniqueFd parent, Options options, const std::function<Outcome(const Options&)>& run) {
  Outcome outcome = leave_terminal(options.log_file);
  if (outcome.status == ok) {
    std::string notices;
    options.on_notice = [&](const std::string& text) { notices += (notices.empty() ? "" : "\n") + text; };
    options.on_ready = [&, before = options.on_ready] {
      if (before) before();
      tell_parent(parent, {ok, notices});
    };
    outcome = run(options);
  }
  // A master stopped before it was ready succeeds, but the start has failed.
  if (parent && outcome.status == ok)
    tell_parent(parent, {failed, "the master was stopped before it was ready"});
  tell_parent(parent, outcome);
  return outcome;
}

std::string end_of(pid_t pid) {
  int status = 0;
  pid_t reaped = 0;
  do reaped = ::waitpid(pid, &status, 0);
  while (reaped < 0 && errno == EINTR);
  if (reaped == pid && WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    return fmt::format("was ended by SIG{}", name ? name : std::to_string(WTERMSIG(status)));
  }
  return fmt::format("ended with exit status {}", WEXITSTATUS(status));
}

// Size of the log; 0: no log.
off_t size_of(const std::string& log_file) {
  struct stat info {};
  return ::stat(log_file.c_str(), &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
}

// The child's last words in the log are what it has told the parent, which prints that itself. Whether the
// child has written them when the parent reads the log is a matter of time.
std::string_view without_complaint(std::string_view log) {
  constexpr std::string_view complaint = "liveswap: ";
  if (log.starts_with(complaint)) return {};
  const auto at = log.rfind("\n" + std::string(complaint));
  return at == std::string_view::npos ? log : log.substr(0, at + 1);
}

// The last lines written to the log beyond its first `before` bytes.
std::string last_lines(const std::string& log_file, off_t before) {
  struct stat info {};
  char bytes[4 * Tail::size_limit];
  const auto log = UniqueFd::adopt(::open(log_file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!log || ::fstat(log.get(), &info) != 0 || !S_ISREG(info.st_mode)) return "";
  const off_t from = std::max<off_t>(before, info.st_size - static_cast<off_t>(sizeof bytes));
  const ssize_t size = ::pread(log.get(), bytes, sizeof bytes, from);
  Tail tail;
  if (size > 0) tail.append(without_complaint({bytes, static_cast<std::size_t>(size)}));
  return tail.text();
}

Detached wait_for_child(UniqueFd child, pid_t pid, const Options& options, off_t log_before) {
  std::string report;
  for (;;) {
    char bytes[4096];
    const ssize_t n = ::recv(child.get(), bytes, sizeof bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    report.append(bytes, static_cast<std::size_t>(n));
  }
  Outcome outcome;
  if (report.empty())
    outcome = {failed, fmt::format("the master {} before its workers were ready; its log: {}", end_of(pid),
                                   options.log_file)};
  else outcome = {static_cast<unsigned char>(report.front()), report.substr(1)};
  const bool started = outcome.status == ok;
  return {std::move(outcome), pid, false, started ? "" : last_lines(options.log_file, log_before)};
}

}  // namespace

Detached run_in_background(Options options, const std::function<Outcome(const Options&)>& run) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return {failed_to("make a socket pair for", "the master")};
  auto here = UniqueFd::adopt(ends[0]);
  auto there = UniqueFd::adopt(ends[1]);
  const off_t log_before = size_of(options.log_file);
  std::fflush(nullptr);  // otherwise both processes write buffered output
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return {failed_to("fork", "the master")};
  if (pid == 0) {
    here.reset();
    systemd::become_main_process(parent);
    wait_for_announcement(there);
    return {run_as_child(std::move(there), std::move(options), run), ::getpid(), true};
  }
  there.reset();
  announce_child(here, pid);
  return wait_for_child(std::move(here), pid, options, log_before);
}

Outcome prepare_log(Options& options) {
  if (!options.log_file.empty()) return {};
  const auto instance = protocol::locate_instance(options.port, options.state_dir, options.runtime_dir);
  if (auto made = ensure_private_directory(instance.state_dir, 0022); !made)
    return {failed, made.error().text};
  options.log_file = instance.log_path();
  return {};
}

}  // namespace liveswap::cli
