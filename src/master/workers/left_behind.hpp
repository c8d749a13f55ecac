#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "master/workers/left_scans.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// A process that an ended worker left behind and that holds listening sockets of the master, or listens at
// their ports with sockets of its own.
struct Holder {
  LeftProcess process;
  std::set<std::string> listeners;
  ListeningSockets own = {};  // its own
  bool is_known = true;       // left by this worker; false: by an unknown one
  bool must_end = false;      // runs the worker's program, so the master kills it; false: only reported
};

// A left process that runs another program and still holds listening sockets.
struct RemainingHolder {
  Holder holder;
  unsigned slot = 0;
  rollout::Generation generation = 0;
};

// Whether the process lives and has one of these sockets open.
bool holds_any(const LeftProcess& process, const ListeningSockets& sockets, const ListeningSockets& own = {});

// Deals with the processes that an ended worker leaves behind:
//
// 1. After a drain, the master waits until the connections have closed that such processes had open at the
//    first scan. Later connections do not count.
// 2. Then processes that hold a listening socket and still run the worker's program are killed: they were
//    made by fork() and could accept with old code for ever. Each is stopped (SIGSTOP) and checked, then
//    killed if without a connection, else continued (SIGCONT) until the next step. After the grace and ten
//    tries the kill is unconditional. Two scans must have seen the process: at the first, a child may be
//    about to exec or to close the listener.
// 3. Processes that have executed another program are only reported: they may have inherited the socket by
//    mistake. So are orphans of an unknown worker.
//
// By force (after a crash, at the drain limit, or when after the grace each scan still finds other processes
// that must end) the worker's whole cgroup is killed at once, unless a process in it has executed another
// program.
//
// Master's thread only. A child is not reaped before the end, so that its pid is not reused. The pid of a
// killed master's worker is not reused as long as that has left processes in its group or session.
class LeftBehind {
 public:
  using Milliseconds = std::chrono::milliseconds;

  explicit LeftBehind(LeftScans scans = LeftScans()) : scans_(std::move(scans)) {}

  struct State {
    std::size_t open = 0;         // connections still waited for
    bool is_over = false;         // nothing is waited for any more
    std::vector<Holder> holders;  // newly found
  };
  // The next step for a worker that drained. nullopt: no scan is due; call again in about 100 ms (each call
  // also retries the kills). `now`: any monotonic clock.
  std::optional<State> step(pid_t worker, const Traces& traces, const ListeningSockets& sockets,
                            Milliseconds now, Milliseconds grace);
  // After a failure or the drain limit: waits for no connection and kills at once. `others`: also processes
  // without a listening socket that run the worker's program, for a worker whose process group nobody can
  // signal.
  std::vector<Holder> end_now(pid_t worker, const Traces& traces, const ListeningSockets& sockets,
                              bool others = false);

  // Whether step() was called for the worker since the last forget().
  bool knows(pid_t worker) const { return scans_.knows(worker); }
  // Signals the processes with awaited connections, whatever their process group.
  void signal(pid_t worker, const Traces& traces, int number) const;
  void forget(pid_t worker);

 private:
  struct Ending {
    Holder holder;
    Milliseconds since{0};
    unsigned tries = 0;
    bool is_killed = false;
  };
  struct Worker {
    std::optional<std::set<std::uint64_t>> awaited;  // connections open at the first scan
    std::set<pid_t> suspects;  // holders that run the worker's program, as seen by one scan
    std::map<pid_t, Ending> ending;
    pid_t last = 0;  // the pid of `ending` that was tried last
    std::optional<Milliseconds> end_began;
    std::set<pid_t> named;
    std::vector<LeftProcess> seen;
  };
  static void end_some(Worker& worker, const Traces& traces, const ListeningSockets& sockets,
                       Milliseconds now, Milliseconds grace);

  LeftScans scans_;
  std::map<pid_t, Worker> workers_;
};

}  // namespace liveswap::master
