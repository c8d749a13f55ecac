#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "support/eventually.hpp"
#include "support/file.hpp"
#include "test/support/temp_dir.hpp"

namespace scenario {

using liveswap::test::TempDir;

// The end of a process. `status`: its exit status, or 128 + the number of the signal that ended it.
struct Finished {
  int status = -1;
  std::string out;
  std::string err;
};

// A child process. Its output goes to files, so that it never waits for a reader. It is killed with the
// object, and when the test process dies.
class Process {
 public:
  struct Setup {
    Words command;
    std::map<std::string, std::string> environment = {};  // in addition to the test's own
    std::string directory = {};                           // empty: the test's own
  };
  Process(const TempDir& dir, const Setup& setup);
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number) const;

  // Writes to its standard input. Fails the test if the other end is closed.
  void write(const std::string& text);
  void close_input() { input_.reset(); }

  // Its output so far.
  std::string out() const { return read_file(out_path_); }
  std::string err() const { return read_file(err_path_); }

  // Waits for the end. Fails the test if the process has not ended within the limit.
  Finished wait(milliseconds limit = patience);

  // Waits until the text stands in one of the outputs; false: the process ended, or the limit has passed.
  bool says(const std::string& text, milliseconds limit = patience);

 private:
  void start(const Setup& setup, int input);
  bool ended_within(milliseconds limit);

  pid_t pid_ = -1;
  std::optional<int> status_;
  std::string out_path_;
  std::string err_path_;
  liveswap::UniqueFd input_;
  liveswap::UniqueFd pidfd_;
};

// Starts a process and waits for its end.
Finished run(const TempDir& dir, const Process::Setup& setup, milliseconds limit = patience);

}  // namespace scenario
