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

// How a process ended. `status`: its exit status, or 128 + the signal that ended it.
struct Finished {
  int status = -1;
  std::string out;
  std::string err;
};

// A child process. Its output goes to files, so that it never waits for a reader. Killed when this goes, and
// when the test process dies.
class Process {
 public:
  struct Setup {
    Words command;
    std::map<std::string, std::string> environment = {};  // beside the test's own
    std::string directory = {};                           // empty: the test's own
  };
  Process(const TempDir& dir, const Setup& setup);
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number) const;

  // To its standard input. Fails the test when the other end is gone.
  void write(const std::string& text);
  void close_input() { input_.reset(); }

  // What it has written so far.
  std::string out() const { return read_file(out_path_); }
  std::string err() const { return read_file(err_path_); }

  // Fails the test when it has not ended within the limit.
  Finished wait(milliseconds limit = patience);

  // Whether it says so, on either output, before it ends and within the limit.
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

// Starts it and waits for its end.
Finished run(const TempDir& dir, const Process::Setup& setup, milliseconds limit = patience);

}  // namespace scenario
