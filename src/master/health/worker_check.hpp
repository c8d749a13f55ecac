#pragma once

#include <memory>
#include <optional>
#include <string>

#include "config/health.hpp"
#include "master/app_listeners/app_listeners.hpp"
#include "master/health/connection_pair.hpp"
#include "master/health/probe.hpp"
#include "master/uv/loop.hpp"
#include "rollout/types.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// Asks one worker, again and again, whether it answers (--liveness). After an answer the next check begins
// one interval later; without one at once, when the limit has passed.
//
//   connect, GET   A connection is handed to this worker alone (ConnectionPair). The check is answered when
//   the
//                  application has accepted the connection (connect), or has answered the request (GET). A
//                  worker that has not accepted one connection gets no second one, so that none pile up.
//   run            The command gets LIVESWAP_SLOT, LIVESWAP_GENERATION and LIVESWAP_PID.
//   heartbeat      The application calls liveswap_heartbeat(). Watched from the first call on.
//
// A limit that the master notices late (a stopped master, a suspended machine) begins anew: the master has
// not read yet what the worker has said meanwhile.
class WorkerCheck {
 public:
  struct Plan {
    config::LivenessCheck check;
    Milliseconds interval{0};
    Milliseconds limit{0};
    spawn::Request commands;  // user, directory and environment of commands
  };
  using Way = AppListeners::Way;
  using Taken = AppListeners::Taken;
  // Each may destroy the check.
  struct Handlers {
    std::function<void()> answered;  // the first time, and the first time after an unanswered check
    std::function<void(const std::string& why)> unanswered;
    std::function<void(const std::string& why)> cannot_be_asked;  // no more checks follow
    std::function<Result<Way>()> way;                             // an error: why this worker cannot be asked
    // Sends the connection to the worker with a number > 0, which taken() gets. 0: no room in the channel.
    std::function<std::int32_t(const Way&, int connection)> send;
    std::function<std::vector<std::string>()> variables;  // of a command, "NAME=value"
    // Whether accepts of this application can be seen, as those of another worker have been.
    std::function<bool()> can_be_asked;
  };

  // `next_within`: as the worker's last heartbeat has said; 0: it has given none yet.
  WorkerCheck(uv_loop_t& loop, const Plan& plan, Handlers handlers, Milliseconds next_within);
  WorkerCheck(const WorkerCheck&) = delete;
  WorkerCheck& operator=(const WorkerCheck&) = delete;

  // The worker cannot be asked.
  bool is_stopped() const { return is_stopped_; }
  // The application has called liveswap_heartbeat(), and calls it again within this time.
  void beat(Milliseconds next_within);
  // What became of the connection with this number.
  void taken(std::int32_t number, Taken what);

 private:
  void ask();
  void run();
  void hand_over(Result<ConnectionPair::Ends> ends, const Way& way);
  void not_asked(const std::string& why);
  void start_limit(Milliseconds span);
  void on_limit();
  void answered();
  void unanswered(const std::string& why, Milliseconds again);
  void stop(const std::string& why);
  void drop_connection();
  Milliseconds since_begin() const;

  uv_loop_t& loop_;
  const Plan& plan_;
  const Handlers handlers_;
  bool is_stopped_ = false;
  bool is_known_ = false;  // answered(), and nothing unanswered since
  Milliseconds began_{0};
  Milliseconds limit_at_{0};     // when limit_ is due
  Milliseconds next_within_{0};  // as the last heartbeat has said
  std::optional<ConnectionPair> pair_;
  std::unique_ptr<Probe> probe_;
  UniqueFd client_;          // of connect
  std::int32_t number_ = 0;  // of the connection that the worker has; 0: none
  bool is_taken_ = false;
  bool has_room_ = true;  // for the last connection
  Timer next_;
  Timer limit_;
};

}  // namespace liveswap::master
