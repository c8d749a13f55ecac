#pragma once

#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "plan.hpp"
#include "rollout/engine.hpp"

namespace liveswap::rollout {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The event that the engine got last.
enum class Cause {
  request,
  prepared,
  prepare_failed,
  committed,
  commit_failed,
  flipped,
  measured,
  probed,
  counted,
  worker,
  liveness,
  tick
};

// The invariants of the engine. This class sees the engine's input and output, keeps its own records of the
// workers and of the running upgrade, and throws a Violation when the engine breaks a rule. It does not know
// how the engine decides.
class Rules {
 public:
  using Kind = Request::Kind;

  Rules(const Settings& settings, const Engine& engine, bool peaceful);

  // Call these before the engine gets the event.
  void boots(Time now, const UpgradeRequest& wish);
  void wished(Time now, Kind kind, RequestId request, const UpgradeRequest& wish = {});
  void prepared(const Release& release) { prepared_ = release; }
  void flipped();
  void measured(const std::map<WorkerId, std::uint64_t>& bytes);
  void probed(bool bad);
  void counted(const std::map<WorkerId, Served>& served);
  void entered(Time now, WorkerId worker, bool deferred);
  void deferred(WorkerId worker);
  void said_ready(WorkerId worker);
  void returned(WorkerId worker);
  void exited(WorkerId worker);
  void answered(WorkerId worker);
  void unanswered(Time now, WorkerId worker);
  void cannot_be_asked(WorkerId worker);
  void reexecuted();

  // Call this after the engine got the event, with what the engine ordered.
  void judge(Time now, Cause cause, const Commands& commands);

  bool quit() const { return quit_; }
  bool all_answered() const { return open_.empty(); }
  // Call this after a long time without failures: each slot has one worker of the committed release, and no
  // deadline is left.
  void judge_rest() const;

 private:
  struct Known {
    unsigned slot = 0;
    Generation generation = 0;
    Time spawned{0};
    std::optional<Time> entered;
    bool deferred = false;
    bool said_ready = false;
    bool returned = false;
    bool ready = false;
    bool staged = false;
    bool told = false;  // told to drain, or signalled
    DrainStep step = DrainStep::asked;
    std::optional<Time> next_step;  // when the next step of force is due
    Time asked{0};                  // when told to drain
    bool held_up = false;           // has delayed a rollback or revert at some time
    RequestId told_in = 0;          // the upgrade that ran when it was told
    // Liveness checks:
    bool answered = false;
    unsigned unanswered = 0;  // in a row
    Time silent_since{0};     // with unanswered > 0
    bool hung = false;
    bool replaces = false;  // is the successor of a hung worker
  };
  struct Open {
    Kind kind;
    UpgradeRequest wish;
    std::optional<Time> due;
    RequestId target = 0;  // of an abort: the upgrade that is aborted
    bool shrinks = false;  // of forks: fewer slots, which delays no upgrade
  };
  // The running upgrade, from its Prepare or its first spawn to its Note{leaving}.
  struct Course {
    RequestId request = 0;
    UpgradeRequest wish;
    bool rolling = false;  // the preparation is over
    Generation to = 0;
    Release release;
    bool doomed = false;  // something has happened that forbids the commit
    bool reverting = false;
    WorkerId last_before_revert = 0;
    bool baked = false;
    std::optional<Time> trial;  // when bake or probation began
    bool flip = false;          // the flip has been ordered
    bool flipped = false;
    std::optional<bool> sick;  // the old release failed its probe
    bool good_probe = false;   // the last probe of bake or probation was good
    unsigned bad_probes = 0;   // consecutive
    const Pace& pace() const { return wish.pace; }
  };

  // rules_orders.cpp: rules for each order
  void order(const Spawn& spawn);
  void order(const Drain& drain);
  void order(const Revoke& revoke);
  void order(const Signal& signal);
  void order(const Prepare& prepare);
  void order(const CancelPrepare& cancel);
  void order(const Commit& commit);
  void order(const Flip& flip);
  void order(const Measure& measure);
  void order(const Steer& steer);
  void order(const CloseSlots& close);
  void order(const Booted& booted);
  void order(const Answer& answer);
  void order(const Quit& quit);
  void order(const Note& note);
  void judge_neighbours(const Spawn& spawn) const;
  void judge_successor(const Spawn& spawn) const;
  bool one_more_fits() const;

  // rules_liveness.cpp: rules for hung workers
  bool is_asked(WorkerId id) const;
  bool replaces_hung(const Spawn& spawn) const;
  void judge_replacement(unsigned slot);
  void judge_old_first(const Known& hung);
  void judge_liveness(const Note& note);

  void step(WorkerId id, DrainStep step, std::optional<Time> next);
  bool force_allowed() const;
  bool drained_longest(WorkerId id) const;
  bool holds_up_way_back(const Known& worker) const;

  // rules_answers.cpp: rules for answers
  void judge_upgrade_answer(const Answer& answer, const Open& open) const;
  void judge_refusal(const Answer& answer, const Open& open);
  void judge_refused_upgrade(const Answer& answer, const Open& open);
  bool impossible(const UpgradeRequest& wish) const;

  // rules_upgrade.cpp: rules for the course of an upgrade
  void begin_course(RequestId request);
  void begin_rolling(const Note& note);
  void begin_trial();
  void end_trial(const char* rule);
  void begin_revert(const Note& note);
  bool rolls() const { return course_ && course_->rolling && !course_->reverting; }
  bool may_fail() const { return course_ && booted_ && !stopping_ && !course_->reverting; }
  bool serves(const Known& worker) const { return worker.ready && !worker.staged && !worker.told; }
  bool successor_serves() const;
  void become_ready(Known& worker) const;
  bool all_slots_serve(Generation generation) const;
  unsigned canary() const;
  void doom(WorkerId failed);
  void judge_course() const;
  void judge_mix() const;

  // rules.cpp: rules for the state after all orders
  void judge_turned();
  void judge_books();
  void judge_worker(const Known& known, const Engine::Worker& worker) const;
  void judge_capacity() const;
  void judge_draining() const;
  void judge_progress() const;
  void judge_batch() const;
  void judge_release();
  void judge_deadlines() const;
  const Pace& pace() const { return course_ ? course_->pace() : settings_; }
  unsigned surge() const { return pace().surge.of(engine_.fork_count()); }
  unsigned most_draining() const;
  unsigned asked_to_drain() const;
  bool way_back() const { return course_ && booted_ && (course_->wish.overtake || course_->reverting); }
  bool errand_open() const;
  bool errand_bars() const;  // an errand that an upgrade has to wait for; removing slots is none

  void demand(bool holds, const char* rule) const {
    if (!holds) throw Violation(rule);
  }
  Known& known(WorkerId worker);

  Settings settings_;
  const Engine& engine_;
  bool peaceful_;

  std::map<WorkerId, Known> workers_;
  std::map<RequestId, Open> open_;
  std::map<Generation, Release> releases_;  // a generation always has the same release
  std::map<WorkerId, std::uint64_t> sizes_;
  std::optional<Course> course_;
  RequestId queued_ = 0;
  RequestId unprepared_ = 0;  // the request of an upgrade that ended before the roll
  Generation failed_ = 0;     // the newest generation that was reverted
  WorkerId last_worker_ = 0;
  bool check_proven_ = false;                        // some worker has answered a liveness check
  WorkerId just_hung_ = 0;                           // the worker that hangs since this event
  std::vector<std::pair<Time, unsigned>> replaced_;  // hung workers: when, in which slot
  std::set<RequestId> succeeded_;                    // requests of successful upgrades
  bool preparing_ = false;
  bool measuring_ = false;
  bool booted_ = false;
  bool stopping_ = false;
  bool quit_ = false;

  // State of the current event, and of the engine before it.
  Time now_{0};
  Cause cause_ = Cause::tick;
  std::optional<Kind> wish_;
  RequestId request_ = 0;
  UpgradeRequest boot_;
  Release prepared_;
  bool probe_counts_ = false;  // the probe counts against the new release
  std::string state_before_ = "starting";
  std::string phase_before_;
  bool errand_before_ = false;
  std::map<WorkerId, WorkerState> states_;
  bool errand_barred_ = false;
  unsigned forks_before_;
  std::string release_;
  Generation generation_ = 0;
};

}  // namespace liveswap::rollout
