#include "command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

std::string problem(const std::string& operation, int number) {
  const char* text = ::strerrordesc_np(number);
  return "cannot " + operation + ": " + (text ? text : "error " + std::to_string(number));
}

struct Pipe {
  Fd read, write;

  int open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
    read = Fd(ends[0]);
    write = Fd(ends[1]);
    // Not for the other end: the command would inherit O_NONBLOCK.
    return ::fcntl(read.get(), F_SETFL, O_NONBLOCK) == 0 ? 0 : errno;
  }
};

// The environment of this process plus LIVESWAP_VALUE. setenv() would race with other threads of the host.
class Environment {
 public:
  explicit Environment(const char* value) : value_(std::string(name) + value) {
    for (char** entry = environ; *entry; ++entry)
      if (std::string_view(*entry).substr(0, name.size()) != name) entries_.push_back(*entry);
    entries_.push_back(value_.data());
    entries_.push_back(nullptr);
  }
  char** get() { return entries_.data(); }

 private:
  static constexpr std::string_view name = "LIVESWAP_VALUE=";
  std::string value_;
  std::vector<char*> entries_;
};

// The host may have blocked or ignored signals that a shell needs.
int reset_signals(posix_spawnattr_t& attributes) {
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  if (const int e = ::posix_spawnattr_setsigmask(&attributes, &none)) return e;
  if (const int e = ::posix_spawnattr_setsigdefault(&attributes, &all)) return e;
  return ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

// The shell gets three descriptors, not the host's channel: background processes of the command would keep it
// open, and the master would think that the plugin still runs.
int set_descriptors(posix_spawn_file_actions_t& actions, const Pipe& out, const Pipe& err) {
  if (const int e = ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) return e;
  if (const int e = ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1)) return e;
  if (const int e = ::posix_spawn_file_actions_adddup2(&actions, err.write.get(), 2)) return e;
  return ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
}

// Returns errno, 0 for success.
int spawn_shell(pid_t& pid, const char* command, Environment& environment, const Pipe& out, const Pipe& err) {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  if (const int e = ::posix_spawnattr_init(&attributes)) return e;
  if (const int e = ::posix_spawn_file_actions_init(&actions)) {
    ::posix_spawnattr_destroy(&attributes);
    return e;
  }
  char* const arguments[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>(command),
                             nullptr};
  int failure = reset_signals(attributes);
  if (failure == 0) failure = set_descriptors(actions, out, err);
  if (failure == 0)
    failure = ::posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, environment.get());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  return failure;
}

// Reads available data, at most `most` bytes. Closes the pipe at end of file.
void take(Fd& pipe, Lines& lines, std::size_t most) {
  char bytes[16 * 1024];
  while (pipe.get() >= 0 && most > 0) {
    const ssize_t n = ::read(pipe.get(), bytes, most < sizeof bytes ? most : sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return pipe.reset();
    lines.append({bytes, static_cast<std::size_t>(n)});
    most -= static_cast<std::size_t>(n);
  }
}

void follow(int process, Fd& out, Fd& err, Lines& out_lines, Lines& err_lines) {
  // Bound of one turn, so that a command that writes continuously to one pipe does not starve the other.
  constexpr std::size_t turn = std::size_t{64} * 1024;
  // Maximum capacity of a pipe of an unprivileged process: covers everything that the shell wrote before its
  // exit, but not endless output of background processes.
  constexpr std::size_t rest = std::size_t{1024} * 1024;
  for (bool ended = false; !ended;) {
    pollfd wait[] = {{process, POLLIN, 0}, {out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}};
    if (::poll(wait, 3, -1) < 0) continue;
    ended = wait[0].revents != 0;
    take(out, out_lines, ended ? rest : turn);
    take(err, err_lines, ended ? rest : turn);
  }
  out_lines.finish();
  err_lines.finish();
}

}  // namespace

Ending run_command(const char* command, const char* value, Lines& out_lines, Lines& err_lines) {
  Pipe out, err;
  if (const int e = out.open()) return {problem("make a pipe", e), 0};
  if (const int e = err.open()) return {problem("make a pipe", e), 0};
  Environment environment(value);
  pid_t pid = -1;
  if (const int e = spawn_shell(pid, command, environment, out, err)) return {problem("start /bin/sh", e), 0};
  out.write.reset();
  err.write.reset();

  Ending ending;
  // glibc 2.36 declares pidfd_open() without C linkage.
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (process.get() >= 0) {
    follow(process.get(), out.read, err.read, out_lines, err_lines);
  } else {
    ending.problem = problem("watch the command", errno);
    ::kill(pid, SIGKILL);
  }
  while (::waitpid(pid, &ending.status, 0) < 0)
    if (errno != EINTR) return {problem("wait for the command", errno), 0};
  return ending;
}
