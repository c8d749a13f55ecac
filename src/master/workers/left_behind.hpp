#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "master/workers/left_looks.hpp"

namespace liveswap::master {

// Inodes of the listening sockets that workers have, each with the name of its listener.
using ListeningSockets = std::map<std::uint64_t, std::string>;

// A process that an ended worker has left, and that has listening sockets of the master's.
struct Holder {
  LeftProcess process;
  std::set<std::string> listeners;
  bool is_known = true;  // the worker has left it, not another one
  bool is_ended =
      false;  // it ran the worker's program, with the old code, and is ended; else somebody else has to
};

// What becomes of the processes that a worker leaves behind when it has ended.
//
//   * Those that still serve connections are waited for, if the worker was told to drain: so long as one of
//   the connections is open
//     that were open at the first look. What such a process accepts later is not waited for.
//   * Then those are ended that still have a listening socket and run what the worker has run: fork() made
//   them, and they could
//     accept with the old code for ever. Each is stopped (SIGSTOP), looked at, and killed where it has no
//     connection at that moment; else it goes on at once (SIGCONT), until the next step, and is killed at
//     last when its grace is over. One that two looks have seen so: a child that is about to execute a
//     program, or to close the listener, is none.
//   * Those that have executed another program may have the socket only because nobody has closed it. They
//   are named, as are orphans
//     whose worker cannot be told.
//
// All of it on the master's thread, while the worker is not reaped: so its number is its own.
class LeftBehind {
 public:
  using Milliseconds = std::chrono::milliseconds;

  explicit LeftBehind(LeftLooks looks = LeftLooks()) : looks_(std::move(looks)) {}

  struct State {
    std::size_t open = 0;         // connections that are waited for
    bool is_over = false;         // nothing is waited for any more
    std::vector<Holder> holders;  // found for the first time
  };
  // The next step for a worker that was told to drain. Nothing: the next look is not due yet, ask again,
  // every 100 ms or so: who is being ended is tried with each call. `now`: of a clock that does not go back.
  std::optional<State> step(pid_t worker, const Traces& traces, const ListeningSockets& sockets,
                            Milliseconds now, Milliseconds grace);
  // Of a worker that has failed, or whose time is over: no connection is waited for, and who is to be ended
  // is killed at once.
  std::vector<Holder> end_now(pid_t worker, const Traces& traces, const ListeningSockets& sockets);

  // Whether it has been asked for by step(), and is not forgotten.
  bool knows(pid_t worker) const { return looks_.knows(worker); }
  // To those that have the connections which are waited for, in whatever group they are.
  void signal(pid_t worker, int number) const;
  void forget(pid_t worker);

 private:
  struct Ending {
    LeftProcess process;
    Milliseconds since{0};
  };
  struct Worker {
    std::optional<std::set<std::uint64_t>> awaited;  // connections
    std::set<pid_t> suspects;  // holders that run the worker's program, by the looks so far
    std::map<pid_t, Ending> ending;
    pid_t last = 0;  // of `ending`, that was tried last
    std::optional<Milliseconds> end_began;
    std::set<pid_t> named;
    std::vector<LeftProcess> seen;
  };
  static void end_some(Worker& worker, const Traces& traces, const ListeningSockets& sockets,
                       Milliseconds now, Milliseconds grace);

  LeftLooks looks_;
  std::map<pid_t, Worker> workers_;
};

}  // namespace liveswap::master
