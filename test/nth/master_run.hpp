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

// The call that shall fail, and what has become of it.
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
  // The next process with the library is the one that is meant.
  void release();
  pid_t pid() const;

 private:
  std::string path_;
  board* page_;
};

// One instance, in directories of its own, started again and again. The master is a child of this process,
// with the preloaded library; what loses its parent becomes a child of this process, too.
class MasterRun {
 public:
  struct Place {
    std::string build;      // root of the build
    std::string directory;  // of this run
    unsigned forks = 2;
  };
  // `store`: of the next liveswap-store that the master starts after release().
  MasterRun(Place place, Board& board, const Board& store);
  ~MasterRun();

  // Starts `liveswap start`; `failure` begins with its first call.
  void start(const std::optional<Failure>& failure);
  // Whether it has come to run, or has ended, within the limit.
  bool wait_until_running(Milliseconds limit);
  // The same by its log, which costs it no call.
  bool wait_until_ready(Milliseconds limit);
  // Nothing while it lives; else its wait status.
  std::optional<int> ended();
  bool ends_within(Milliseconds limit);
  void signal(int number) const;
  pid_t pid() const { return pid_; }

  // The answer to one command, by the control socket; nothing when there was none within the limit.
  std::optional<Json> ask(const Json& command, Milliseconds limit) const;
  // Whether everything is as it should be, in words what is not: it answers, it runs, each slot has one
  // worker that is ready, and no other child of the master is left. Waits for that.
  std::string trouble(Milliseconds limit);
  // Processes that have lost their master, or whose end nobody has taken. Waits for their end, then ends
  // them.
  std::string left_behind(Milliseconds limit);
  std::string log() const;
  // A long history costs a rollback many calls, all alike.
  void shorten_history() const;

  std::string library(int version) const;
  // The same with a content that no release has had.
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
  std::size_t log_before_ = 0;  // bytes of the log that were there before this start
};

// Of a process, as /proc has them.
std::vector<pid_t> children_of(pid_t pid);

}  // namespace nth
