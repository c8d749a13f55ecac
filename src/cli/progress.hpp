#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>

// The progress of an upgrade: takes events of the control protocol, returns text. Pure.
namespace liveswap::cli {

class Progress {
 public:
  // `options`: those that address the instance, for commands in hints (client::options_of).
  explicit Progress(std::string options = {}) : options_(std::move(options)) {}

  struct Note {
    std::string line;      // the event for people; empty: none
    bool trouble = false;  // keep the line above the bar
  };

  // `json`: one event. Unknown events are ignored.
  Note take(std::string_view json);

  // One line of at most `width` columns, ASCII except for colour:
  //   upgrading [########--------] 1/2 slots, 2 workers draining, 17 connections, 1.2 s
  // To fit, the bar shrinks and disappears first, then words from the right.
  std::string bar(std::size_t width, std::chrono::milliseconds elapsed, bool colour) const;

 private:
  struct Event;

  Note describe(const Event& event) const;
  void count(const Event& event);
  double share() const;

  std::string options_;
  std::string phase_ = "upgrading";
  bool reverting_ = false;
  std::size_t slots_ = 0;                      // slots to change; 0: not known yet
  std::set<long long> ready_;                  // slots with a ready successor
  std::set<long long> fresh_;                  // pids of the successors
  std::size_t left_ = 0;                       // number of exited predecessors
  std::map<long long, std::size_t> draining_;  // pid → last known number of open connections
};

}  // namespace liveswap::cli
