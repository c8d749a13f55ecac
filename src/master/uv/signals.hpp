#pragma once

#include <sys/types.h>

#include <functional>
#include <list>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {

// The signals that give a master orders.
//
//   SIGTERM, SIGINT   stop
//   SIGHUP            upgrade; stop, when it tells of a terminal that was closed (is_hang_up)
//   SIGUSR1           open the log anew
//   SIGUSR2           nothing yet; it is logged
//   SIGQUIT           write the state of every worker to the log, as a Java or Go runtime does on that signal
//
// A SIGHUP that was ignored when the master was started (nohup) stays ignored. SIGINT and SIGQUIT are ignored
// in what a shell without job control puts into the background, so that Ctrl-C does not reach it: then those
// that the terminal sends stay ignored, and those that a process sends (`kill -INT`) are obeyed. SIGTERM is
// obeyed always: service managers stop with it.
class Signals {
 public:
  enum class Order { stop, hang_up, upgrade, reopen_log, re_execute, log_state };
  // `name`: of the signal. On the loop.
  using Obey = std::function<void(Order order, const char* name)>;

  Signals(uv_loop_t& loop, Obey obey);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  void watch(uv_loop_t& loop, int number, const char* name, Order order);
  void watch_terminal();
  void on_hang_up();

  uv_loop_t& loop_;
  Obey obey_;
  UniqueFd terminal_;  // the controlling one, as it was at the start
  std::optional<Poll> terminal_poll_;
  std::optional<Milliseconds> went_at_;  // when it was closed, by the loop's clock
  Timer leaving_;
  std::list<SignalWatch> watches_;
};

// A SIGHUP as it was sent.
struct HangUp {
  bool by_kernel = false;  // else by a process
  bool by_shell =
      false;  // by a process of the master's session, or by one that is gone: perhaps by its shell
  std::optional<Milliseconds>
      gone_for;  // since the master's controlling terminal was closed; nothing: it was not
};

// The kernel sends SIGHUP only when a terminal was closed. A shell passes that on to its jobs by kill(), as
// an operator's order is sent, too; but then the terminal went a moment ago, or goes with the shell within
// moments.
bool is_hang_up(const HangUp& sent);

}  // namespace liveswap::master
