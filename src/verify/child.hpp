#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::verify {

// A child process, signalled by pidfd so that a reused pid is never hit. In a process group of its own, so
// that Ctrl-C reaches only this process; gets SIGTERM when this process dies. The destructor kills and reaps.
class Child {
 public:
  // Appends the output to the file `output`; no input. The calling thread must outlive the child
  // (PR_SET_PDEATHSIG).
  static Result<Child> start(const std::vector<std::string>& words, const std::string& output);
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;

  // Borrowed; readable after the exit.
  int fd() const { return pidfd_.get(); }

  // Whether the child has exited; waits for at most `limit`.
  bool ended(std::chrono::milliseconds limit = {});
  // After the exit: "exit status 3", "SIGSEGV".
  const std::string& ending() const { return ending_; }
  bool ended_well() const { return ending_ == "exit status 0"; }

 private:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_;
  UniqueFd pidfd_;
  std::string ending_;
};

// Opens a pidfd; empty: no such process.
UniqueFd open_process(pid_t pid);
// Sends a signal to a pidfd.
void signal_process(const UniqueFd& process, int number);

// Makes this process a subreaper, so that kill_descendants() finds orphans.
void become_subreaper();

// Kills and reaps all children and their descendants. Returns their names and pids.
std::vector<std::string> kill_descendants(std::chrono::milliseconds limit);

}  // namespace liveswap::verify
