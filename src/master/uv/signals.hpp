#pragma once

#include <functional>
#include <list>
#include <optional>
#include <vector>

#include "base/unique_fd.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {

// The signals that a master obeys.
//
//   SIGTERM, SIGINT   stop
//   SIGHUP            upgrade; stop if a closed terminal is the cause (is_hang_up)
//   SIGUSR1           open the log anew
//   SIGUSR2           execute the program anew in this process (state/reexecution.hpp)
//   SIGQUIT           log the state of every worker, as Java and Go runtimes do
//
// A SIGHUP that was ignored at the master's start (nohup) stays ignored. A shell without job control starts
// background programs with SIGINT and SIGQUIT ignored, against Ctrl-C: then those from the terminal stay
// ignored, and those from a process (`kill -INT`) are obeyed. SIGTERM is always obeyed: service managers
// use it.
class Signals {
 public:
  enum class Order { stop, hang_up, upgrade, reopen_log, re_execute, log_state };
  // `name`: the signal's. Called on the loop.
  using Obey = std::function<void(Order order, const char* name)>;

  Signals(uv_loop_t& loop, Obey obey);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // The signals that are not obeyed when a terminal sends them.
  const std::vector<int>& ignored_from_terminal() const { return ignored_from_terminal_; }

 private:
  void watch(uv_loop_t& loop, int number, const char* name, Order order);
  void watch_terminal();
  void on_hang_up();

  uv_loop_t& loop_;
  Obey obey_;
  UniqueFd terminal_;  // the controlling terminal at the start
  std::optional<Poll> terminal_poll_;
  std::optional<Milliseconds> went_at_;  // when the terminal was closed, by the loop's clock
  Timer leaving_;
  std::vector<int> ignored_from_terminal_;
  std::list<SignalWatch> watches_;
};

// The circumstances of a SIGHUP.
struct HangUp {
  bool by_kernel = false;  // else a process
  bool by_shell = false;   // the sender is in the master's session, or has exited: perhaps the shell
  std::optional<Milliseconds> gone_for;  // since the controlling terminal was closed; nullopt: open
};

// The kernel sends SIGHUP only if a terminal was closed. A shell passes the signal on by kill(), which an
// operator also uses; but then the terminal was closed a moment ago, or closes with the shell within
// moments.
bool is_hang_up(const HangUp& sent);

}  // namespace liveswap::master
