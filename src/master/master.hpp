#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "liveswap.hpp"
#include "master/control_server.hpp"
#include "master/hook.hpp"
#include "master/inquiry.hpp"
#include "master/instance_lock.hpp"
#include "master/listeners.hpp"
#include "master/loop.hpp"
#include "master/worker_pool.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// The master: carries what happens (workers, clients, signals, time) to the rollout engine as events, and carries out
// its commands. It decides nothing about workers itself, and ends only when the engine says so.
class Master {
 public:
  // `options` are validated and settled (setup.hpp); everything else is taken over.
  Master(uv_loop_t& loop, Options options, InstanceLock lock, Listeners listeners, SpawnRequest worker_request);
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;
  ~Master();

  Result<void> open_control(const std::string& token);
  // Starts the workers and runs the loop until all of them have gone again.
  Outcome run(const std::string& target);

 private:
  // A request that the engine has not answered yet.
  struct Pending {
    ConnectionId connection = 0;  // 0: nobody waits
    protocol::Verb verb = protocol::Verb::status;
    bool detach = false;   // of an upgrade: answer when it is under way
    std::string release;   // of an upgrade: to what
  };
  struct LastUpgrade {
    rollout::Verdict verdict = rollout::Verdict::ok;
    std::string text;
    std::string release;
    rollout::Time at{0};
  };

  // master.cpp
  WorkerPool::Handlers pool_handlers();
  WorkerPool::Template pool_template(SpawnRequest request) const;
  rollout::Time now() const;
  void perform(rollout::Commands commands);
  void settle();
  void carry_out(const rollout::Spawn& command) { pool_.spawn(command); }
  void carry_out(const rollout::Drain& command) { pool_.drain(command.worker, command.limit); }
  void carry_out(const rollout::Expire& command) { pool_.expire(command.worker); }
  void carry_out(const rollout::Signal& command) { pool_.signal(command.worker, command.kill); }
  void carry_out(const rollout::Prepare& command);
  void carry_out(const rollout::CancelPrepare&);
  void carry_out(const rollout::Commit& command);
  void carry_out(const rollout::Steer& command) { steered_ = command.slots; }
  void carry_out(const rollout::CloseSlots& command);
  void carry_out(const rollout::Booted&);
  void carry_out(const rollout::Answer& command);
  void carry_out(const rollout::Quit& command);
  void carry_out(const rollout::Note& note);
  void watch_signals();
  void remember(const Pending& upgrade, const rollout::Answer& answer);

  // requests.cpp
  void on_command(ConnectionId connection, const protocol::Command& command);
  void on_upgrade(rollout::RequestId request, const protocol::Command& command);
  void on_forks(rollout::RequestId request, const protocol::Command& command);
  void on_message(rollout::RequestId request, const std::string& text);
  void on_status(rollout::RequestId request);
  void answer(rollout::RequestId request, const std::string& line);
  void refuse(rollout::RequestId request, protocol::Refusal refusal, const std::string& text);
  std::int32_t ask(std::set<rollout::WorkerId> workers, Milliseconds limit, Inquiry::Done done);

  // report.cpp
  protocol::Json status(const Inquiry::Answers& connections) const;
  protocol::Json members_of(const rollout::Note& note) const;
  void log_note(const rollout::Note& note) const;

  uv_loop_t& loop_;
  Options options_;
  InstanceLock lock_;
  Listeners listeners_;
  SpawnRequest hook_request_;
  WorkerPool pool_;
  rollout::Engine engine_;
  Timer timer_;
  std::unique_ptr<ControlServer> control_;
  std::list<SignalWatch> signals_;
  std::list<std::unique_ptr<Hook>> hooks_;  // the last one is the current one; the others have been cancelled
  std::map<std::int32_t, std::unique_ptr<Inquiry>> inquiries_;
  std::int32_t last_question_ = 0;
  std::map<rollout::RequestId, Pending> pending_;
  rollout::RequestId last_request_ = 0;
  std::deque<rollout::Command> queue_;
  bool performing_ = false;
  unsigned steered_ = 0;
  rollout::Time started_{0};
  std::string home_;  // the working directory the master was started in
  std::optional<LastUpgrade> last_upgrade_;
  std::optional<Outcome> outcome_;
};

}  // namespace liveswap::master
