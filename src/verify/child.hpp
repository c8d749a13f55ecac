#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::verify {

// A child process, held by a pidfd: a signal never hits another process. In a process group of its own, so
// that a Ctrl-C is for this process alone; gets SIGTERM when this process dies. Destroying it kills and reaps
// it.
class Child {
 public:
  // Its input is empty, its output is appended to the file at `output`. The thread that starts it must live
  // as long.
  static Result<Child> start(const std::vector<std::string>& words, const std::string& output);
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;

  // Borrowed: readable once it has ended.
  int fd() const { return pidfd_.get(); }

  // Whether it has ended; waits so long at most.
  bool ended(std::chrono::milliseconds limit = {});
  // "exit status 3", "SIGSEGV"; after its end.
  const std::string& ending() const { return ending_; }
  bool ended_well() const { return ending_ == "exit status 0"; }

 private:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_;
  UniqueFd pidfd_;
  std::string ending_;
};

// Opens a descriptor for any process; empty when there is none.
UniqueFd open_process(pid_t pid);
// Sends a signal by such a descriptor.
void signal_process(const UniqueFd& process, int number);

// Makes processes whose parents have died children of this one, so that end_strays() finds them.
void adopt_strays();

// Kills and reaps every child of this process, and theirs. Returns their names and pids.
std::vector<std::string> end_strays(std::chrono::milliseconds limit);

}  // namespace liveswap::verify
