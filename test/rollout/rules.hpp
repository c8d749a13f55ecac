#pragma once

#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What the engine was just told.
enum class Cause { request, prepared, prepare_failed, committed, commit_failed, worker, tick };

// The invariants of the engine. Looks at what goes in and what comes out, keeps its own book of the workers,
// and throws a Violation when the engine does what no engine may do. It knows nothing of how the engine
// decides.
class Rules {
 public:
  Rules(const Settings& settings, const Engine& engine, bool peaceful);

  // Before the engine is told.
  enum class Wish { boot, upgrade, kill, forks, stop, die };
  void wished(Time now, Wish wish, RequestId request);
  void entered(Time now, WorkerId worker, bool deferred);
  void deferred(WorkerId worker);
  void said_ready(WorkerId worker);
  void exited(WorkerId worker);

  // After it was told: what it ordered.
  void judge(Time now, Cause cause, const Commands& commands);

  bool quit() const { return quit_; }
  bool all_answered() const { return open_.empty(); }
  bool knows(WorkerId worker) const { return workers_.count(worker) > 0; }
  // After a long time in which nothing went wrong: one worker a slot, all of the committed release, nothing
  // to wait for.
  void judge_rest() const;

 private:
  struct Known {
    unsigned slot = 0;
    Generation generation = 0;
    Time spawned{0};
    std::optional<Time> entered;
    bool deferred = false;
    bool said_ready = false;
    bool ready = false;
    bool told = false;  // to leave, in whatever way
    DrainStep step = DrainStep::asked;
    std::optional<Time> next_step;  // when the next one is due
    RequestId told_in = 0;          // the upgrade that was under way then
  };
  struct Open {
    Wish wish;
    std::optional<Time> due;
  };

  // rules_orders.cpp: each order by itself
  void order(const Spawn& spawn);
  void order(const Drain& drain);
  void order(const Expire& expire);
  void order(const Signal& signal);
  void order(const Prepare& prepare);
  void order(const CancelPrepare& cancel);
  void order(const Commit& commit);
  void order(const Steer& steer);
  void order(const CloseSlots& close);
  void order(const Booted& booted);
  void order(const Answer& answer);
  void order(const Quit& quit);
  void order(const Note& note);
  void step(WorkerId id, DrainStep step, std::optional<Time> next);
  void judge_upgrade_answer(const Answer& answer);

  // rules.cpp: the state after all of them
  void judge_books();
  void judge_worker(const Known& known, const Engine::Worker& worker) const;
  void judge_capacity() const;
  void judge_batch() const;
  void judge_release();
  void judge_deadlines() const;
  unsigned surge(unsigned forks) const;
  bool force_allowed() const;

  void demand(bool holds, const char* rule) const {
    if (!holds) throw Violation(rule);
  }
  Known& known(WorkerId worker);

  Settings settings_;
  const Engine& engine_;
  bool peaceful_;

  std::map<WorkerId, Known> workers_;
  std::map<RequestId, Open> open_;
  std::map<Generation, std::string> releases_;  // of a generation, always the same
  Generation failed_ = 0;                       // the newest that was reverted
  WorkerId last_worker_ = 0;
  RequestId upgrade_ = 0;          // under way
  std::set<RequestId> succeeded_;  // upgrades
  bool hook_runs_ = false;
  bool booted_ = false;
  bool stopping_ = false;
  bool quit_ = false;

  // Of the event that is being judged, and of the one before it.
  Time now_{0};
  Cause cause_ = Cause::tick;
  std::optional<Wish> wish_;
  RequestId request_ = 0;
  std::string state_before_ = "starting";
  bool errand_before_ = false;
  unsigned forks_before_;
  std::string release_;
  Generation generation_ = 0;
};

}  // namespace liveswap::rollout
