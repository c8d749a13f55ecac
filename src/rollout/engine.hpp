#pragma once

#include <map>
#include <random>
#include <set>

#include "rollout/overview.hpp"
#include "rollout/replacement_limits.hpp"
#include "rollout/types.hpp"

namespace liveswap::rollout {

// An upgrade that rolls or reverts, for another engine.
struct UnfinishedUpgrade {
  RequestId request = 0;
  Release release;
  Generation generation = 0;
  bool flip = false;
};

// A decided upgrade, for another engine: its answer waits until these workers have exited.
struct DecidedUpgrade {
  RequestId request = 0;
  Verdict verdict = Verdict::ok;
  std::string text;
  std::vector<WorkerId> workers;
};

// The rollout engine decides which workers exist. Events and the time go in, commands come out. The engine
// has no clock (tests pass the time), never blocks, and is used on one thread.
//
// There is a *goal*: the release and generation that every slot shall serve. Outside an upgrade the goal is
// the committed release. An upgrade sets another goal; a failure sets the goal back. After every event the
// engine does the same (reconcile.cpp): fill empty slots, give turns to slots that are not on the goal, and
// end the upgrade when all are. Rolling forward and reverting are therefore one mechanism.
//
// An upgrade's life:
//
//   preparing ─▶ rolling ⇄ baking     ┌─▶ probation ─▶ committing ─▶ (committed: answer)
//       │           │  └─▶ flipping ──┤        │            │
//       ▼           └─────────────────┴────────┴────────────┴─▶ reverting ─▶ (reverted: answer)
//    (answer)
//
// With a canary, rolling stops after the first slots, bakes, and goes on. With a flip, successors are
// staged: their sockets get no connection until all successors are ready. Then all new connections go to
// them at one moment, and the old workers drain once the accept queues of their sockets are empty. After a
// flip, a revert keeps the same sockets.
//
// The start is an upgrade without a committed release: if it fails, the master quits. Once committed or
// reverted, an upgrade is over, and the next one may begin. The answer waits until all replaced workers
// have exited.
//
// Draining workers block no upgrade (draining.cpp). `surge` bounds the workers that start or serve.
// `max_draining` bounds those that drain: beyond it, the engine uses force on those that have drained
// longest.
class Engine {
 public:
  explicit Engine(const Settings& settings);

  // What a new engine needs to go on where another one has stopped: the committed release, and the workers
  // that exist.
  struct Facts;
  // For adopt(). Only once a release is committed. If not is_at_rest(), they are for an engine that goes on
  // after the end of this one's master: what clients have asked for is left out.
  Facts facts() const;
  // Instead of boot(): takes over the workers of the facts as they are, also those of the committed
  // generation that are starting. Slots without a worker get one. An upgrade that was under way fails, for
  // the reason that its master was killed.
  Commands adopt(Time now, const Facts& facts);
  // Whether facts() say everything: a release is committed, nothing is under way or queued, no worker starts
  // and no decided upgrade or change of forks waits for its answer.
  bool is_at_rest() const;
  // What keeps the engine from being at rest, in words; answers that wait do not count. nullopt: nothing.
  std::optional<std::string> unrest() const;
  // Answers the decided upgrades, and a `forks` that removes slots, now, although old workers still drain.
  Commands answer_early(Time now);

  // Requests. Each gets exactly one Answer, now or later (none for id 0).
  Commands boot(Time now, const UpgradeRequest& request);
  Commands upgrade(Time now, RequestId id, const UpgradeRequest& request);
  Commands promote(Time now, RequestId request);  // ends bake or probation
  Commands abort(Time now, RequestId request);    // answered when the revert is complete
  Commands kill(Time now, RequestId request);
  Commands forks(Time now, RequestId request, unsigned count);
  // Drain all workers and quit. `at_once`: by force, also when a drain is under way.
  Commands stop(Time now, RequestId request, bool at_once);

  // Other settings from now on, except for the number of slots and the seed. Workers that start or drain keep
  // their deadlines. Not while an upgrade rolls, except to set back what was set for it.
  void configure(const Settings& settings);

  // Outcomes of commands. `remark`: added to the answer; may be empty.
  Commands prepared(Time now, const Release& release, const std::string& remark = "");
  Commands prepare_failed(Time now, const std::string& text);
  Commands unfit(Time now, const std::string& text);  // nothing to upgrade to: refused, not failed
  Commands committed(Time now);
  Commands commit_failed(Time now, const std::string& text);
  Commands flipped(Time now);
  Commands flip_failed(Time now, const std::string& text);  // the sockets are as before the Flip
  Commands measured(Time now, const std::map<WorkerId, std::uint64_t>& bytes);

  // The master has checked the files of Unix listeners.
  Commands files(Time now, const FileNews& news);

  // Results of health checks (judge.cpp). Used only while judging().
  Commands probed(Time now, const Probe& probe);
  Commands counted(Time now, const std::map<WorkerId, Served>& served);

  // Results of liveness checks of single workers (liveness.cpp). `text`: why, for people. The last: the
  // application accepts connections in a way that the worker host does not see, so nothing is known.
  Commands answered(Time now, WorkerId worker);
  Commands unanswered(Time now, WorkerId worker, const std::string& text);
  Commands cannot_be_asked(Time now, WorkerId worker);
  // Another check is used from now on, or none: what the former one has found does not count any more.
  void forget_liveness();

  // Events of workers. An unknown worker is ignored. `deferred`: the application reports readiness itself.
  Commands entered(Time now, WorkerId worker, bool deferred);
  Commands deferred(Time now, WorkerId worker);
  Commands ready(Time now, WorkerId worker);       // the worker has said so
  Commands seen_ready(Time now, WorkerId worker);  // from the awaited listeners; the settle time still runs
  // `awaits`: what a starting worker has not done yet, for the failure message. `dropped`: the worker
  // leaves out a listener (awaited.hpp).
  Commands awaits(Time now, WorkerId worker, const Awaits& awaits);
  Commands dropped(Time now, WorkerId worker, const std::string& listener);
  // liveswap_main has returned without a request to stop. The process may live on for a while.
  Commands returned(Time now, WorkerId worker, const std::string& text);
  // The worker has stopped taking connections without a request. Open ones are finished as in any drain.
  Commands stopped_serving(Time now, WorkerId worker, const std::string& text);
  Commands exited(Time now, WorkerId worker, const Departure& departure);
  // A signal has stopped the worker's process (SIGSTOP), or made it run again.
  Commands stopped(Time now, WorkerId worker, bool is_stopped);

  // Time has passed. next_deadline(): when to call tick() next; nullopt: only events matter.
  Commands tick(Time now);
  std::optional<Time> next_deadline() const;

  // For reports.
  struct Worker {
    WorkerId id = 0;
    unsigned slot = 0;
    Generation generation = 0;
    Release release;
    WorkerState state = WorkerState::starting;
    // The sockets get no connection: the new ones before the flip, the old ones after it.
    bool staged = false;
    Time spawned{0};
    bool entered = false;
    bool was_ready = false;
    bool failed = false;           // counted as failed; leaving
    std::optional<Time> deadline;  // starting: ready limit; draining: next step
    Time drain_since{0};
    bool hurried = false;           // short drain limit: a revert or rollback waits for the exit
    std::string why_forced;         // set when force begins, as in "did not drain within its limit"
    std::optional<Time> settle_at;  // starting: counts as ready then
    std::optional<Time> proven_at;  // seen ready earlier; the end of the settle time
    DrainStep step = DrainStep::asked;
    Liveness liveness;
    WorkerId replaces = 0;              // of the hung worker whose successor this is
    std::optional<Time> stopped_since;  // by a signal; such a worker does nothing until it is continued
    Awaits awaits;
  };
  struct Slot {
    unsigned restarts = 0;  // after deaths that no command caused
    unsigned deaths = 0;    // in a row; a worker that lives for backoff_reset ends the row
    std::optional<Time> respawn_at;
    bool turn = false;              // had a turn in the current roll
    std::vector<WorkerId> workers;  // oldest first
  };
  const std::map<WorkerId, Worker>& workers() const { return workers_; }
  const std::vector<Slot>& slots() const { return slots_; }
  unsigned fork_count() const { return forks_; }
  Generation generation() const { return committed_ ? committed_->generation : 0; }
  Release release() const { return committed_ ? committed_->release : Release{}; }
  // The settings of the committed generation's workers.
  Profile profile() const { return committed_ ? committed_->profile : 0; }
  bool running() const;  // a release is committed, and no upgrade is under way
  bool stopping() const { return stopping_.has_value(); }
  bool preparing() const { return upgrade_ && upgrade_->phase == Phase::preparing; }
  bool reverting() const;
  const char* state() const;              // starting, running, upgrading, reverting, stopping
  const char* phase() const;              // of the upgrade under way; "" without one
  std::optional<Time> phase_end() const;  // of bake and probation
  // Of the upgrade under way.
  Release goal_release() const { return upgrade_ ? upgrade_->to.release : Release{}; }
  Generation goal_generation() const { return goal() ? goal()->generation : 0; }
  std::optional<RequestId> queued() const { return queue_ ? std::optional(queue_->id) : std::nullopt; }
  const Pace& pace() const { return upgrade_ ? upgrade_->pace : settings_; }
  // Successors are, or will be, staged.
  bool staging() const { return upgrade_ && upgrade_->flip_ahead; }
  // From the Flip to flipped() or flip_failed(). No worker is started; failures are handled at the end.
  bool flipping() const { return upgrade_ && upgrade_->phase == Phase::flipping; }
  // The request of the upgrade under way.
  std::optional<RequestId> upgrading() const {
    return upgrade_ ? std::optional(upgrade_->request) : std::nullopt;
  }
  // Health checks count now.
  bool judging() const;
  // The worker shall answer liveness checks: it serves.
  bool is_asked(const Worker& worker) const;
  // Another worker of the same release has answered its check, so this one could.
  bool can_be_asked(WorkerId worker) const;
  // When the next hung worker is replaced that the limits hold back; nullopt: none is held back.
  std::optional<Time> replace_at() const { return replace_at_; }
  // Why another request must wait, in words; nullopt: no need to wait.
  std::optional<std::string> under_way() const;
  // The same for an upgrade, which need not wait for slots that are removed while their workers drain.
  std::optional<std::string> in_the_way_of_upgrade() const;
  // The request of the upgrade that started, or drains, this worker; 0: none.
  RequestId request_of(WorkerId worker) const;
  // Slots without a ready worker that takes connections: new connections go to the other slots.
  const std::set<unsigned>& unserved_slots() const { return overview_.without_connections(); }
  // Workers that have become ready, or begun to drain, since forget_turned(); after adopt(), all. Some may
  // have exited.
  const std::vector<WorkerId>& turned() const { return turned_; }
  void forget_turned() { turned_.clear(); }
  // For tests: what is known of the slots, and the same made anew from all workers. Also how often the engine
  // has looked at a slot since it was made.
  const Overview& overview() const { return overview_; }
  Overview overview_anew() const;
  std::uint64_t looks() const { return looks_; }

 private:
  struct Target {
    Generation generation = 0;
    Release release;
    Profile profile = 0;
  };
  enum class Phase { preparing, rolling, baking, flipping, probation, committing, reverting };
  struct Upgrade {
    RequestId request = 0;
    std::string asked;    // the requested path; empty: what is at the committed release's path now
    bool urgent = false;  // a rollback: waits neither for memory nor for draining workers
    Phase phase = Phase::rolling;
    Pace pace;
    std::optional<Profile> profile;
    Target to;
    std::string reason;            // why the upgrade reverts
    std::string remark;            // for `started`, and for the answer
    bool cuts = false;             // Verdict::cut
    std::optional<Time> deadline;  // of the phase
    bool said_waiting = false;
    bool baked = false;       // the canary has passed
    bool flip_ahead = false;  // successors are, or will be, staged
    bool measuring = false;   // Measure was sent: start no worker before measured()
    // Whether probes failed while only the old release served; nullopt: not probed then.
    std::optional<bool> sick_before;
    unsigned failed_probes = 0;  // in a row
    bool probed = false;         // a probe came since the phase began
    std::vector<RequestId> aborts;
    std::vector<std::string> mended;
  };
  struct Queued {
    RequestId id = 0;
    UpgradeRequest request;
  };
  // A decided upgrade; the answers wait until these workers have exited.
  struct PendingAnswer {
    std::vector<Answer> answers;
    std::set<WorkerId> workers;
    unsigned told = 0;  // bad ends of workers in the answer so far
    std::vector<std::string> mended;
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
    bool is_told = false;  // every worker has been told to leave
  };

  // adopt.cpp
  bool goes_on_starting(const Worker& worker) const;
  void adopt_starting(Time now);
  void adopt_answer(const DecidedUpgrade& one);
  void fail_unfinished(Time now, const UnfinishedUpgrade& unfinished);

  // reconcile.cpp: from the actual workers to the goal
  Commands done(Time now);
  void reconcile(Time now);
  void reconcile_stop(Time now);
  void fill_empty_slots(Time now);
  void take_turns(Time now);
  bool take_turn(Time now, unsigned slot);
  bool may_spawn(unsigned slot) const;
  bool may_begin_turn() const;
  bool waits_for_respawn(unsigned slot) const;
  void spawn(Time now, unsigned slot, const Target& target);
  std::optional<Target> target_for_empty(unsigned slot) const;
  bool needs_stopgap(unsigned slot) const;

  // upgrade.cpp: an upgrade's phases
  void advance_upgrade(Time now);
  void begin_upgrade(Time now, RequestId id, const UpgradeRequest& request);
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

  // judge.cpp
  bool successor_serves() const;
  bool fits_memory() const;
  bool wait_for_memory(Time now);
  void ask_memory();

  // workers.cpp
  void turn(Worker& worker, WorkerState state);
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
  void record_departure(const Worker& worker, const Departure& departure);

  // liveness.cpp: hung workers
  bool counts_as_hung(Time now, const Liveness& liveness) const;
  void hang(Time now, Worker& worker);
  void resume_liveness(Worker& worker);
  WorkerId hung_in(unsigned slot) const;
  void replace_hung(Time now);
  bool replace(Time now, unsigned slot, WorkerId hung);
  void end_replaced(Time now, const Worker& successor);

  // draining.cpp: draining workers block no upgrade
  unsigned most_draining() const;
  void limit_draining(Time now);
  bool way_back() const;
  void clear_way_back(Time now);
  void hurry(Time now, Worker& worker);

  // requests.cpp
  void make_way_for_rollback(Time now);
  void advance_admin_command(Time now);
  void advance_shrink(Time now, bool due);
  void fail_admin_command(Time now, Verdict verdict, const std::string& text);
  void abandon_admin_command(const std::string& why);
  void end_admin_command();
  void enqueue(RequestId id, const UpgradeRequest& request);
  bool may_abort() const;
  std::optional<std::string> impossible(const UpgradeRequest& request) const;
  void close_slots();
  bool vanishing() const { return overview_.removed() > 0; }
  std::string shrunk_text() const;
  void begin_stop(bool at_once, bool ok, const std::string& text);

  // adopt.cpp
  bool is_emptying() const;

  // notes.cpp
  void note(NoteKind kind, const Worker& worker, Time now, const std::string& text = {});
  void note(NoteKind kind, const std::string& text = {});
  void answer(PendingAnswer pending);
  const PendingAnswer* pending_answer_of(WorkerId worker) const;

  // engine.cpp: the overview
  SlotView view_of(unsigned slot) const;
  void see(unsigned slot);
  void see_all();

  const Target* goal() const;
  bool active(const Worker& worker) const { return worker.state != WorkerState::draining; }
  bool all_on_goal() const { return overview_.on_goal() == forks_; }
  unsigned canary() const;
  const Worker* find_active(unsigned slot, Generation generation) const;
  unsigned surge() const;

  Settings settings_;
  std::mt19937 random_;  // std::minstd_rand gives nearly the same first number for all small seeds
  unsigned forks_;
  WorkerId last_worker_ = 0;
  Generation last_generation_ = 0;
  std::map<WorkerId, Worker> workers_;
  std::vector<Slot> slots_;
  Overview overview_;  // of workers_ and slots_: call see() after each change
  mutable std::uint64_t looks_ = 0;
  std::vector<WorkerId> turned_;
  std::optional<Target> committed_;
  std::optional<Upgrade> upgrade_;
  std::optional<Queued> queue_;
  std::vector<PendingAnswer> pending_answers_;
  std::vector<std::string> lost_files_;
  std::map<WorkerId, std::uint64_t> memory_;
  ReplacementLimits replacements_;
  std::optional<Time> replace_at_;
  bool check_is_proven_ = false;  // some worker has answered a liveness check
  std::optional<AdminCommand> admin_command_;
  std::optional<Stopping> stopping_;
  bool quit_ = false;
  Commands out_;
};

struct Engine::Facts {
  struct Slot {
    unsigned restarts = 0;
    unsigned deaths = 0;
    std::optional<Time> respawn_at;
    bool turn = false;  // has begun to go to the committed release
  };
  Release release;
  Generation generation = 0;
  Generation last_generation = 0;
  WorkerId last_worker = 0;
  unsigned forks = 0;
  std::vector<Slot> slots;      // at least `forks`; more while workers of removed slots drain
  std::vector<Worker> workers;  // with distinct ids, oldest first; at rest, none is starting
  std::optional<UnfinishedUpgrade> unfinished;
  std::vector<DecidedUpgrade> decided;
};

// What these facts mean once HEAD is read: if the unfinished upgrade has reached HEAD, it is committed.
Engine::Facts as_head_says(Engine::Facts facts, const Release& head);

}  // namespace liveswap::rollout
