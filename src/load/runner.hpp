#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "load/accounting.hpp"
#include "load/control.hpp"
#include "load/judge.hpp"
#include "load/options.hpp"
#include "load/pool.hpp"
#include "load/schedule.hpp"

namespace liveswap::load {

// Executes a run on the calling thread: waits for times and descriptors, records the results.
//
// An attempt begins at its intended time, gets a connection (usually at once), sends its request and receives
// the answer, or fails. Its deadline counts from the intended time. After a stop, no attempt begins; the run
// ends with the last one.
class Runner {
 public:
  // `announce` receives the lines that scripts wait for.
  Runner(const Options& options, Accounting& accounting, std::function<void(const std::string&)> announce);

  // Blocks until the end of the run. An error: a system call failed, or a command was invalid; the results
  // are then incomplete.
  Result<void> run();

  const ConnectionCounts& connections() const { return pool_.counts(); }
  Time elapsed() const { return now(); }
  // Origin of all times; set by run().
  std::chrono::steady_clock::time_point start() const { return start_; }

 private:
  using AttemptId = std::pair<Time, std::uint64_t>;  // ordered by deadline
  struct Attempt {
    Kind kind;
    std::size_t phase;
    Time intended;
    Pool::Id connection = 0;  // 0: waits for one
  };

  Result<void> set_up();
  Result<void> watch_signals();
  Result<void> wait();
  Time next_wake() const;
  void on_signal();
  void on_commands();
  void execute(const Command& command);
  void on_connection(Pool::Id id);

  void issue();
  void begin(Kind kind, Time intended);
  void serve_waiting();
  bool serve(AttemptId id, Attempt& attempt);
  void finish_step(Pool::Id connection, Connection::Step step);
  void end(AttemptId id, const Verdict& verdict, std::uint16_t port = 0);
  void expire();

  std::string request_for(Kind kind, std::uint64_t number) const;
  Time now() const { return std::chrono::steady_clock::now() - start_; }

  const Options& options_;
  Accounting& accounting_;
  std::function<void(const std::string&)> announce_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  UniqueFd epoll_;
  UniqueFd signals_;
  Pool pool_;
  Judge judge_;
  Schedule schedule_;
  CommandLines commands_;

  std::map<AttemptId, Attempt> attempts_;
  std::deque<AttemptId> waiting_;  // may contain ended attempts
  std::unordered_map<Pool::Id, AttemptId> busy_;
  std::vector<Time> slow_starts_;  // of slow requests not in flight
  std::uint64_t begun_ = 0;
  Time retry_at_{};
  bool stopping_ = false;
  std::optional<Error> fault_;
};

}  // namespace liveswap::load
