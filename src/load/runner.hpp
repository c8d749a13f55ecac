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

// Does a run, in one thread: waits for times and descriptors, and enters what happens into the books.
//
// An attempt begins when its intended time has come. It waits for a connection, which usually takes no time,
// has its request sent and answered, or fails; its deadline runs all the while. Once the run is stopping no
// attempt begins, and it is over when the last one has ended.
class Runner {
 public:
  // `announce` gets the lines that scripts wait for.
  Runner(const Options& options, Accounting& accounting, std::function<void(const std::string&)> announce);

  // An error when the system does not let the run go on, or a command was not understood; the books are
  // complete only without one.
  Result<void> run();

  const ConnectionCounts& connections() const { return pool_.counts(); }
  Time elapsed() const { return now(); }
  // What every time in the books counts from; set by run().
  std::chrono::steady_clock::time_point start() const { return start_; }

 private:
  using AttemptId =
      std::pair<Time, std::uint64_t>;  // the deadline first: the map is in the order of deadlines
  struct Attempt {
    Kind kind;
    std::size_t phase;
    Time intended;
    Pool::Id connection = 0;  // 0 while it waits for one
  };

  Result<void> set_up();
  Result<void> watch_signals();
  Result<void> wait();
  Time next_wake() const;
  void on_signal();
  void on_commands();
  void obey(const Command& command);
  void on_connection(Pool::Id id);

  void issue();
  void begin(Kind kind, Time intended);
  void serve_waiting();
  bool serve(AttemptId id, Attempt& attempt);
  void settle(Pool::Id connection, Connection::Step step);
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
  std::deque<AttemptId> waiting_;  // may name attempts that have ended meanwhile
  std::unordered_map<Pool::Id, AttemptId> busy_;
  std::vector<Time> slow_starts_;  // of the slow requests that are not in flight
  std::uint64_t begun_ = 0;
  Time retry_at_{};
  bool stopping_ = false;
  std::optional<Error> fault_;
};

}  // namespace liveswap::load
