#pragma once

#include <sys/types.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "board.h"

namespace nth {

using Json = nlohmann::json;
using Milliseconds = std::chrono::milliseconds;

// Which call fails, and what has happened.
struct Failure {
  unsigned kinds = 0;
  unsigned errors = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
struct Fate {
  std::uint64_t seen = 0;
  std::uint64_t failed = 0;
  std::string name;  // of the first call that failed
};

// The page that this process shares with the preloaded library.
class Board {
 public:
  explicit Board(const std::string& path);
  ~Board();
  const std::string& path() const { return path_; }
  void arm(const Failure& failure);
  Fate disarm();
  std::uint64_t seen() const;
  // The next process with the library uses this board.
  void release();
  pid_t pid() const;

 private:
  std::string path_;
  board* page_;
};

// One instance in directories of its own, started again and again. The master is a child of this process,
// with the preloaded library. Orphans become children of this process, too.
class MasterRun {
 public:
  struct Place {
    std::string build;      // the root of the build
    std::string directory;  // the directory of this run
    unsigned forks = 2;
  };
  // `store`: the board of the next liveswap-store that the master starts after release().
  MasterRun(Place place, Board& board, const Board& store);
  ~MasterRun();

  // Starts `liveswap start`; `failure` counts from the process's first call.
  void start(const std::optional<Failure>& failure);
  // Whether the master runs, or has exited, within the limit.
  bool wait_until_running(Milliseconds limit);
  // The same, found in the log, so that the master makes no call for it.
  bool wait_until_ready(Milliseconds limit);
  // The wait status; nothing while the master lives.
  std::optional<int> ended();
  bool ends_within(Milliseconds limit);
  void signal(int number) const;
  pid_t pid() const { return pid_; }

  // The answer to a command on the control socket; nothing: no answer within the limit.
  std::optional<Json> ask(const Json& command, Milliseconds limit) const;
  // Waits until all is well: the master answers, its state is running, each slot has one ready worker, and
  // the master has no other child. Returns a description of what is wrong, empty when all is well.
  std::string trouble(Milliseconds limit);
  // Waits for the end of orphans and unreaped processes, then kills those that are left. Returns a
  // description of these.
  std::string left_behind(Milliseconds limit);
  std::string log() const;
  // Removes old receipts: with a long history a rollback makes many calls that are all alike.
  void shorten_history() const;

  std::string library(int version) const;
  // Changes some settings in the configuration file: one for new workers, and others that hold at once.
  void write_configuration();
  static constexpr std::size_t changes_of_configuration = 3;
  // A library with a content that no release has had.
  std::string fresh_library();
  const std::string& address() const { return address_; }
  std::uint16_t port() const { return port_; }

 private:
  std::string trouble_now() const;
  std::string control_socket() const;
  void make_host(const Board& store) const;

  Place place_;
  Board& board_;
  std::uint16_t control_ = 0;
  std::uint16_t port_ = 0;
  std::string address_;
  pid_t pid_ = -1;
  std::optional<int> status_;
  unsigned fresh_ = 0;
  unsigned configurations_ = 0;
  std::size_t log_before_ = 0;  // size of the log before this start
};

// The children of a process, as /proc lists them.
std::vector<pid_t> children_of(pid_t pid);

}  // namespace nth
