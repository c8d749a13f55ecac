#pragma once

#include <map>
#include <random>
#include <set>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// The rollout engine: decides which workers exist. Events go in with the time, commands come out; it is
// tested as a value, with a clock of the test's own.
//
// The model. There is a *goal*: the release, and its generation, that every slot shall serve. Outside an
// upgrade the goal is the committed one. An upgrade sets another goal; a failure sets it back. Whatever
// happens, the engine then does the same thing (reconcile.cpp): it fills empty slots, gives turns to slots
// that are not on the goal, and looks whether the upgrade has come to its end. Rolling forward and reverting
// are therefore one mechanism.
//
// An upgrade's life:
//
//   preparing ─▶ rolling ⇄ baking     ┌─▶ probation ─▶ committing ─▶ (committed: its old workers leave; then
//   the answer)
//       │           │  └─▶ flipping ──┤        │            │
//       ▼           └─────────────────┴────────┴────────────┴─▶ reverting ─▶ (reverted: its workers leave;
//       the answer)
//    (answer)
//
// With a canary, rolling stops after the first slots, bakes, and goes on. With a flip, successors are staged:
// their sockets get no connection until all of them are ready; then all connections go to them at one moment,
// and the old workers are told to drain when nothing waits in the sockets they serve. A revert after a flip
// is made in place.
//
// The start is an upgrade from nothing: when it fails there is nothing to go back to, and the master quits.
// An upgrade is over, and the next one may come, once it is committed or reverted; its answer waits until
// every worker that it made superfluous has gone.
//
// Workers that only drain hold up nobody (draining.cpp). `surge` bounds the workers that start or serve.
// Those that drain have a limit of their own: beyond it, the ones that have drained longest are ended by
// force.
class Engine {
 public:
  explicit Engine(const Settings& settings);

  // Requests. Each is answered by exactly one Answer, now or later (unless its id is 0).
  Commands boot(Time now, const UpgradeRequest& wish);
  Commands upgrade(Time now, RequestId request, const UpgradeRequest& wish);
  Commands promote(Time now, RequestId request);  // ends bake or probation
  Commands abort(Time now, RequestId request);    // answered when everything is as it was
  Commands kill(Time now, RequestId request);
  Commands forks(Time now, RequestId request, unsigned count);
  // Drain all and quit; `at_once`: by force, also when a drain is under way.
  Commands stop(Time now, RequestId request, bool at_once);

  // What became of commands.
  // `remark`: what the requester is to be told with the answer; empty: nothing.
  Commands prepared(Time now, const Release& release, const std::string& remark = "");
  Commands prepare_failed(Time now, const std::string& text);
  Commands unfit(Time now,
                 const std::string& text);  // there is nothing to prepare: refused, as if never begun
  Commands committed(Time now);
  Commands commit_failed(Time now, const std::string& text);
  Commands flipped(Time now);
  Commands flip_failed(Time now, const std::string& text);  // connections go where they went
  Commands measured(Time now, const std::map<WorkerId, std::uint64_t>& bytes);

  // The files of Unix listeners have been looked at.
  Commands files(Time now, const FileNews& news);

  // What is found out about the health of the new and the old (judge.cpp); while judging() only.
  Commands probed(Time now, const Probe& probe);
  Commands counted(Time now, const std::map<WorkerId, Served>& served);

  // What workers do. Events of a worker that is not known any more are ignored.
  Commands entered(Time now, WorkerId worker, bool deferred);
  Commands deferred(Time now, WorkerId worker);
  Commands ready(Time now, WorkerId worker);       // it says so
  Commands seen_ready(Time now, WorkerId worker);  // by what it waits on: it may still die of its start
  // What a starting worker has not done yet: said with its failure. And a listener that it leaves out
  // (awaited.hpp).
  void awaits(WorkerId worker, const Awaits& awaits);
  Commands dropped(Time now, WorkerId worker, const std::string& listener);
  // liveswap_main has returned though nobody had asked for it; the process itself may take its time to end.
  Commands returned(Time now, WorkerId worker, const std::string& text);
  // It takes no connections any more though nobody had asked for that; those that it has it finishes as in
  // any drain.
  Commands stopped_serving(Time now, WorkerId worker, const std::string& text);
  Commands exited(Time now, WorkerId worker, const Departure& departure);

  // Time has passed. When the next call is due; nothing when no deadline is near: then only events matter.
  Commands tick(Time now);
  std::optional<Time> next_deadline() const;

  // For reports.
  struct Worker {
    WorkerId id = 0;
    unsigned slot = 0;
    Generation generation = 0;
    Release release;
    WorkerState state = WorkerState::starting;
    bool staged = false;  // its sockets get no connection: before its flip, or after that of its successor
    Time spawned{0};
    bool entered = false;
    bool was_ready = false;
    bool failed = false;           // has been counted as dead, and is on its way out
    std::optional<Time> deadline;  // starting: of readiness; draining: of the next step
    Time drain_since{0};
    bool hurried = false;  // the way back waits for its end: the steps of force follow each other quickly
    std::string
        why_forced;  // once force has begun: what the worker did, as in "did not drain within its limit"
    std::optional<Time> settle_at;  // starting: ready by then if nothing happens
    std::optional<Time>
        proven_at;  // seen to be ready before it has survived its settle time, which ends then
    DrainStep step = DrainStep::asked;
    Awaits awaits;
  };
  struct Slot {
    unsigned restarts = 0;  // deaths outside an order
    unsigned deaths = 0;    // in a row, none of which lived for backoff_reset
    std::optional<Time> respawn_at;
    bool turn = false;  // its turn in the roll under way has come
    std::vector<WorkerId>
        workers;  // of the slot, the oldest first; so that no question about a slot asks them all
  };
  const std::map<WorkerId, Worker>& workers() const { return workers_; }
  const std::vector<Slot>& slots() const { return slots_; }
  unsigned fork_count() const { return forks_; }
  Generation generation() const { return committed_ ? committed_->generation : 0; }
  Release release() const { return committed_ ? committed_->release : Release{}; }
  bool running() const;  // a release is committed, and nothing changes it
  bool stopping() const { return stopping_.has_value(); }
  bool preparing() const { return upgrade_ && upgrade_->phase == Phase::preparing; }
  bool reverting() const;
  const char* state() const;              // starting, running, upgrading, reverting, stopping
  const char* phase() const;              // of the upgrade under way; "" without one
  std::optional<Time> phase_end() const;  // of bake and probation
  // Of the upgrade under way, once it is known.
  Release goal_release() const { return upgrade_ ? upgrade_->to.release : Release{}; }
  Generation goal_generation() const { return goal() ? goal()->generation : 0; }
  std::optional<RequestId> queued() const { return queue_ ? std::optional(queue_->request) : std::nullopt; }
  const Pace& pace() const { return upgrade_ ? upgrade_->pace : settings_; }
  // Successors are staged, or going to be.
  bool staging() const { return upgrade_ && upgrade_->flip_ahead; }
  // Whose upgrade is under way.
  std::optional<RequestId> upgrading() const {
    return upgrade_ ? std::optional(upgrade_->request) : std::nullopt;
  }
  // Probes, and counts of requests, mean something now.
  bool judging() const;
  // What stands in the way of another request, in words; nothing when the way is free.
  std::optional<std::string> under_way() const;
  // The same, of an upgrade: slots that vanish, while their workers drain, are not in its way.
  std::optional<std::string> in_the_way_of_upgrade() const;
  // Whose upgrade that worker belongs to, or is sent away by; 0: nobody's.
  RequestId request_of(WorkerId worker) const;
  // Slots without a worker that is ready: one that keeps dying, one that is new, one whose old worker had to
  // go first.
  std::set<unsigned> unserved_slots() const;

 private:
  struct Target {
    Generation generation = 0;
    Release release;
  };
  enum class Phase { preparing, rolling, baking, flipping, probation, committing, reverting };
  struct Upgrade {
    RequestId request = 0;
    std::string asked;    // the path of the wish; empty: what is at the current one
    bool urgent = false;  // a rollback: it waits neither for memory nor for workers that drain
    Phase phase = Phase::rolling;
    Pace pace;
    Target to;
    std::string reason;            // why it reverts
    std::string remark;            // told with `started`, and with the answer
    std::optional<Time> deadline;  // of the phase
    bool said_waiting = false;
    bool baked = false;               // the canary has proven itself
    bool flip_ahead = false;          // successors are staged
    bool measuring = false;           // measured() is awaited: nobody is started before
    std::optional<bool> sick_before;  // the old release failed its probes, too; unknown: it had none
    unsigned failed_probes = 0;       // in a row
    bool probed = false;              // since the phase began
    std::vector<RequestId> aborts;
    std::vector<std::string> mended;  // files
  };
  struct Queued {
    RequestId request = 0;
    UpgradeRequest wish;
  };
  // An upgrade that is decided; its answers wait until these workers have gone.
  struct PendingAnswer {
    std::vector<Answer> answers;
    std::set<WorkerId> workers;
    unsigned told = 0;                // fates in the text
    std::vector<std::string> mended;  // files
  };
  // `kill` or `forks` under way.
  struct AdminCommand {
    enum class Kind { kill, grow, shrink } kind = Kind::kill;
    RequestId request = 0;
    unsigned forks_before = 0;
    std::optional<Time> deadline;
    Verdict verdict = Verdict::ok;
    std::string text;
  };
  struct Stopping {
    bool at_once = false;
    bool ok = true;
    std::string text;
    std::vector<RequestId> requests;
  };

  // reconcile.cpp: from what is to what shall be
  Commands done(Time now);
  void reconcile(Time now);
  void reconcile_stop(Time now);
  void fill_empty_slots(Time now);
  void take_turns(Time now);
  bool take_turn(Time now, unsigned slot);
  bool may_spawn(unsigned slot) const;
  void spawn(Time now, unsigned slot, const Target& target);
  std::optional<Target> target_for_empty(unsigned slot) const;
  bool needs_stopgap(unsigned slot) const;

  // upgrade.cpp: an upgrade's phases
  void advance_upgrade(Time now);
  void begin_upgrade(Time now, RequestId request, const UpgradeRequest& wish);
  void begin_rolling(const Release& release);
  std::string same_content(const Release& release) const;
  bool begin_queued(Time now);
  void bake(Time now);
  void begin_probation(Time now);
  Time unproven(Time now) const;
  void end_trial(Time now);
  void flip();
  void fail_upgrade(Time now, const std::string& reason);
  void close_upgrade(Verdict verdict, const std::string& text);
  void upgrade_deadline(Time now);
  bool rolling() const;
  // What has failed meanwhile is dealt with when the flip has ended: nobody is started.
  bool flipping() const { return upgrade_ && upgrade_->phase == Phase::flipping; }

  // judge.cpp
  bool successor_serves() const;
  bool fits_memory() const;
  bool wait_for_memory(Time now);
  void ask_memory();

  // workers.cpp
  void become_ready(Time now, Worker& worker);
  void drain_slot(Time now, unsigned slot, Generation generation);
  void drain_worker(Time now, Worker& worker);
  std::optional<Time> drain_limit() const;
  void drain(Time now, Worker& worker, std::optional<Time> limit);
  void force(Time now, Worker& worker, DrainStep step);
  void next_step(Time now, Worker& worker, const std::string& why);
  void died(Time now, const Worker& worker, const std::string& reason);
  Commands failed_alive(Time now, WorkerId worker, const std::string& text, std::optional<Time> drain_limit);
  void schedule_respawn(Time now, Slot& slot, Time lived);
  void worker_deadline(Time now, Worker& worker);
  void tell_fate(PendingAnswer& pending, const Worker& worker, const Departure& departure);
  void bid_farewell(const Worker& worker, const Departure& departure);

  // draining.cpp: workers that only drain hold up nobody
  unsigned most_draining() const;
  void limit_draining(Time now);
  bool way_back() const;
  void clear_way_back(Time now);
  void hurry(Time now, Worker& worker);

  // requests.cpp
  void make_way_for_rollback(Time now);
  void advance_errand(Time now);
  void advance_shrink(Time now, bool due);
  void fail_errand(Time now, Verdict verdict, const std::string& text);
  void abandon_errand(const std::string& why);
  void end_errand();
  void enqueue(RequestId request, const UpgradeRequest& wish);
  bool may_abort() const;
  std::optional<std::string> impossible(const UpgradeRequest& wish) const;
  void close_slots();
  bool vanishing() const;
  void begin_stop(bool at_once, bool ok, const std::string& text);

  // notes.cpp
  void note(NoteKind kind, const Worker& worker, Time now, const std::string& text = {});
  void note(NoteKind kind, const std::string& text = {});
  void answer(PendingAnswer pending);
  const PendingAnswer* pending_answer_of(WorkerId worker) const;

  const Target* goal() const;
  bool active(const Worker& worker) const { return worker.state != WorkerState::draining; }
  bool on_goal(unsigned slot) const;
  bool all_on_goal() const;
  bool canary_on_goal() const;
  unsigned canary() const;
  bool has_active(unsigned slot) const;
  bool served(unsigned slot) const;
  const Worker* find_active(unsigned slot, Generation generation) const;
  unsigned surge() const;

  Settings settings_;
  std::mt19937 random_;  // minstd_rand gives nearly the same first number for all small seeds
  unsigned forks_;
  WorkerId last_worker_ = 0;
  Generation last_generation_ = 0;
  std::map<WorkerId, Worker> workers_;
  std::vector<Slot> slots_;
  std::optional<Target> committed_;
  std::optional<Upgrade> upgrade_;
  std::optional<Queued> queue_;
  std::vector<PendingAnswer> pending_answers_;
  std::vector<std::string> lost_files_;
  std::map<WorkerId, std::uint64_t> memory_;
  std::optional<AdminCommand> admin_command_;
  std::optional<Stopping> stopping_;
  bool quit_ = false;
  Commands out_;
};

}  // namespace liveswap::rollout
