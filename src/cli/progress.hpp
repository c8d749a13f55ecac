#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>

// What an upgrade looks like while it runs: events of the control protocol in, text out. Pure: no clock, no
// terminal.
namespace liveswap::cli {

class Progress {
 public:
  // `options`: for the commands that are hinted at, how the instance is addressed (client::options_of).
  explicit Progress(std::string options = {}) : options_(std::move(options)) {}

  struct Note {
    std::string line;      // the event for people; empty: nothing to say
    bool trouble = false;  // worth keeping beside the bar
  };

  // `json` is one event as the client reports it; what is not known is passed over.
  Note take(std::string_view json);

  // One line of at most `width` columns, ASCII but for colour:
  //   upgrading [########--------] 1/2 slots, 2 workers draining, 17 connections, 1.2 s
  // Where it does not fit, the bar shrinks and goes first, then the words from the right.
  std::string bar(std::size_t width, std::chrono::milliseconds elapsed, bool colour) const;

 private:
  struct Event;

  Note describe(const Event& event) const;
  void count(const Event& event);
  double share() const;

  std::string options_;
  std::string phase_ = "upgrading";
  bool reverting_ = false;
  std::size_t slots_ = 0;                      // that are to change; 0: not known yet
  std::set<long long> ready_;                  // slots whose successor is ready
  std::set<long long> fresh_;                  // processes of the successors
  std::size_t left_ = 0;                       // predecessors that have gone
  std::map<long long, std::size_t> draining_;  // process → connections open, as far as it was told
};

}  // namespace liveswap::cli
