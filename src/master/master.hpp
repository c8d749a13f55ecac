#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "config/reload.hpp"
#include "liveswap.hpp"
#include "master/app_listeners/listener_files.hpp"
#include "master/control/open_requests.hpp"
#include "master/health/health_rounds.hpp"
#include "master/health/liveness_checks.hpp"
#include "master/instance_lock.hpp"
#include "master/keeping/keeping.hpp"
#include "master/preparation/preparation.hpp"
#include "master/receipts/failures.hpp"
#include "master/receipts/history_answers.hpp"
#include "master/receipts/open_receipts.hpp"
#include "master/releases/commit_record.hpp"
#include "master/releases/sound_start.hpp"
#include "master/releases/soundness.hpp"
#include "master/releases/store_queries.hpp"
#include "master/releases/store_tasks.hpp"
#include "master/releases/unspawned_workers.hpp"
#include "master/reload/config_reading.hpp"
#include "master/report/notes.hpp"
#include "master/report/status_report.hpp"
#include "master/service/service_manager.hpp"
#include "master/sockets/listeners.hpp"
#include "master/sockets/pending_flip.hpp"
#include "master/sockets/queue_watch.hpp"
#include "master/state/reexecution.hpp"
#include "master/uv/loop.hpp"
#include "master/uv/reaper.hpp"
#include "master/uv/signals.hpp"
#include "master/workers/worker_pool.hpp"
#include "master/workers/worker_query.hpp"
#include "release/committed_releases.hpp"
#include "release/store.hpp"
#include "rollout/engine.hpp"
#include "rollout/fall_back.hpp"
#include "rollout/waiting_drains.hpp"

namespace liveswap::master {

// The master. Reports workers' events, clients' commands, signals and timers to the rollout engine, and
// carries out the engine's commands. Makes no decision about workers. Ends by the engine's Quit, or before
// the first worker if no release can be started.
class Master {
 public:
  // `options` must be validated and settled (setup.hpp). `store_request`: how to start liveswap-store.
  Master(uv_loop_t& loop, Options options, InstanceLock lock, Listeners listeners,
         spawn::Request worker_request, spawn::Request store_request, const rlimit& files_of_workers);
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;
  ~Master();

  Result<void> open_control(const std::string& token);
  // Starts workers of the release `start.id` from the store; if the id is empty, of the file that is at
  // `start.path` now. Then runs the loop until the engine quits, when all workers have exited.
  Outcome run(const rollout::Release& start);
  // Instead of open_control() and run(): goes on where the former image of the program has stopped.
  // `failure`: why another program, which should have gone on, could not; empty: this is that program.
  Outcome resume(const state::MasterState& from, const std::string& failure);
  // Instead of run(), after open_control(): goes on where a killed master has stopped. `options`: of this
  // start; what differs from those of the former master is applied like a reload.
  struct TakeOver {
    state::MasterState& state;
    UniqueFd keeper;
    std::optional<rollout::Release> head;  // what HEAD says
    rollout::Release start;                // what this start would run without workers to take over
    Options options;
    std::optional<spawn::Identity> identity;
  };
  Outcome take_over(TakeOver from);
  // Has the keeper ready, for the case that this master is killed. `program`: empty: nothing is kept.
  void keep_with(const std::string& program);
  // This master cannot go on after all: destroying it leaves the sockets to the next one.
  void abandon_listeners() { listeners_.leave_open(); }

 private:
  // wiring.cpp: handlers for the callbacks of the parts
  WorkerPool::Handlers pool_handlers();
  WorkerPool::Template pool_template(spawn::Request request) const;
  HealthRounds::Handlers health_handlers();
  LivenessChecks::Handlers liveness_handlers();
  QueueWatch::Handlers queue_handlers();
  StatusReport::Sources status_sources();

  // master.cpp: start, signals, the loop of events and commands, and the short commands
  void boot_from_store(const std::optional<SoundStart::Found>& found);
  void boot(const rollout::Start& start);
  void obey(Signals::Order order, const char* name);
  void perform(rollout::Commands commands);
  void settle();
  void carry_out(const rollout::Drain& command);
  void drain_those_due();
  void drain(const rollout::Drain& order);
  void steer();
  Listeners::Serving serving(rollout::WorkerId worker) const;
  void carry_out(const rollout::Revoke& command);
  void carry_out(const rollout::Signal& command);
  void carry_out(const rollout::Steer& command) { steered_ = command.slots; }
  void carry_out(const rollout::CloseSlots& command);
  void carry_out(const rollout::Measure&);
  void carry_out(const rollout::Booted&);
  void carry_out(const rollout::Answer& command);
  void carry_out(const rollout::Quit& command);
  void carry_out(const rollout::Note& note);
  void tell_ready();
  void start_watching();
  Outcome loop();
  void notice(const std::string& text) const;

  // cut_off.cpp: commands that an exception has interrupted
  void make_up_for(const rollout::Command& command);
  void make_up(const rollout::Spawn& command);
  void make_up(const rollout::Prepare& command);
  void make_up(const rollout::Commit& command);
  void make_up(const rollout::Flip&);
  void make_up(const rollout::Measure&);
  void make_up(const rollout::Answer& command);
  void make_up(const rollout::Quit& command);
  void make_up(const rollout::Note&) {}
  template <class Command>
  void make_up(const Command& command);
  void do_undone();

  // spawning.cpp: examines a release, then starts its workers
  void carry_out(const rollout::Spawn& command);
  void start_worker(const rollout::Spawn& command);
  void on_examined(const std::vector<UnspawnedWorkers::Worker>& waiting, const rollout::Examined& found);
  bool end_without_process(rollout::WorkerId worker);
  void doubt_release(rollout::WorkerId worker, const rollout::Departure& departure);
  void fall_back(const rollout::Release& release, const rollout::Examined& found);

  // upgrades.cpp: preparation, commit, flip, removal of old releases
  void carry_out(const rollout::Prepare& command);
  void carry_out(const rollout::CancelPrepare&);
  void carry_out(const rollout::Commit& command);
  void carry_out(const rollout::Flip&);
  void begin_preparation(const std::string& value);
  void note_committed(const rollout::Release& release, const rollout::Release& before,
                      rollout::RequestId request);
  void collect();

  // listening.cpp: application listeners, readiness of starting workers, listeners on which no worker accepts
  void look_at_app_listeners();
  void judge_starting(const std::vector<AppListeners::Judged>& judged);
  bool is_quiet() const;
  void watch_queues();
  void watch_queues_soon();
  void on_waiting(const QueueWatch::Place& place, ino_t inode);

  // reexec.cpp: the state of this master, for the next image of the program
  Reexecution::Handlers reexecution_handlers();
  void on_reexec(rollout::RequestId request, const protocol::Command& command);
  std::optional<std::string> unrest(bool late);
  state::MasterState save();
  state::MasterState save_common() const;
  void adopt(const state::MasterState& from);
  void give_up_changed_listeners();
  void repeat_flip();
  Result<void> adopt_control(const state::MasterState& from);

  // keeping.cpp: the state of this master, for the next one, and the start of the next one
  void keep();
  void keep_at_once();
  std::optional<state::MasterState> save_for_next();
  void adopt_requests(const state::MasterState& from);
  void repeat_drains();
  void begin_late_start(TakeOver& from);
  void catch_up_with_start();
  void give_up_options_of_start(const std::string& why);
  void reload_for_start();

  // requests.cpp: commands of clients
  void on_command(ConnectionId connection, const protocol::Command& command);
  void begin(rollout::RequestId request, const protocol::Command& command);
  void on_upgrade(rollout::RequestId request, const protocol::Command& command);
  void on_rollback(rollout::RequestId request, const protocol::Command& command);
  void on_forks(rollout::RequestId request, const protocol::Command& command);
  Result<void> set_forks(rollout::RequestId request, unsigned slots);
  void on_message(rollout::RequestId request, const std::string& text);
  void on_status(rollout::RequestId request);
  void find_earlier(rollout::RequestId request, const std::string& which, rollout::UpgradeRequest wish);
  void roll_back(rollout::RequestId request, rollout::UpgradeRequest wish, const rollout::Release& release);
  Options instantly() const;
  void answer_or_give_up(rollout::RequestId request, const std::function<void()>& work);
  void count_connections(const std::set<rollout::WorkerId>& workers, Milliseconds limit,
                         WorkerQuery::Done done);

  // reloading.cpp: the configuration file is read again
  struct PendingReload {
    rollout::RequestId request = 0;  // of the client; for SIGHUP, of the upgrade
    rollout::RequestId step = 0;     // of the step that adds slots, or takes them back; 0: not now
    config::ReloadPlan plan;
    Options before;
    std::optional<spawn::Identity> identity;  // that belongs to `before`
    unsigned forks_before = 0;
    std::optional<unsigned> forks;               // still to be set
    bool undone = false;                         // `before` holds again
    std::optional<rollout::Answer> answer = {};  // to be given when the slots are as before
  };
  std::optional<std::string> reload_obstacle() const;
  void on_reload(rollout::RequestId request, const protocol::Command& command);
  void on_config(rollout::RequestId request, const ConfigReading::Outcome& found, bool dry_run);
  std::optional<ConfigReading::Failure> begin_reload(rollout::RequestId request,
                                                     const ConfigReading::Found& found,
                                                     const config::ReloadPlan& plan);
  void grow_for_reload();
  void end_step(rollout::Answer answer);
  void go_on_with_reload();
  void note_reload();
  void shrink_for_reload();
  void follow_reload(const rollout::Note& note);
  rollout::Note without_reload(rollout::Note note) const;
  bool take_reload_answer(const rollout::Answer& answer);
  void undo_reload();
  bool take_back_forks();
  Result<Lending> other_listeners(const config::ReloadPlan& plan, const ConfigReading::Found& found);
  void close_listeners();
  void end_reload();
  Result<void> move_log(const std::string& path) const;
  void use(const Options& options, const std::optional<spawn::Identity>& identity);
  WorkerPool::Profile worker_profile() const;
  void upgrade_with_environment(rollout::RequestId request, const char* name);
  void on_environment(rollout::RequestId request, const ConfigReading::Outcome& found, const char* name);

  uv_loop_t& loop_;
  Options options_;
  InstanceLock lock_;
  Listeners listeners_;
  std::string home_;  // the working directory the master was started in
  Preparation::Tools tools_;
  release::Store store_;
  OpenRequests requests_;
  Failures failures_;
  release::CommittedReleases committed_;
  KnownRuntimes known_runtimes_;
  rollout::FallBack fall_back_;
  HistoryAnswers history_answers_;
  StoreQueries resolver_;  // finds the release of a rollback; apart from `history_answers_`, so that clients'
                           // questions do not delay it
  ConfigReading config_reading_;
  AppListeners app_listeners_;
  WorkerPool pool_;
  rollout::Engine engine_;
  Timer timer_;  // the engine's next deadline
  WorkerQueries queries_;
  OpenReceipts receipts_;
  Soundness soundness_;
  SoundStart sound_start_;
  UnspawnedWorkers unspawned_;
  CommitRecord record_;
  StoreTasks store_tasks_;
  rollout::WaitingDrains waiting_drains_;
  Timer waiting_drains_timer_;
  PendingFlip pending_flip_;
  ListenerFiles listener_files_;
  Timer app_listeners_timer_;
  QueueWatch queue_watch_;
  Timer queue_watch_timer_;
  Milliseconds next_queue_watch_{0};
  HealthRounds health_rounds_;
  LivenessChecks liveness_checks_;
  Notes notes_;
  StatusReport status_;
  ServiceManager service_;
  std::optional<Signals> signals_;
  std::optional<Reaper> reaper_;
  std::optional<SignalWatch> stops_;        // SIGCHLD: a worker may have been stopped
  std::list<std::unique_ptr<Task>> dying_;  // of cancelled preparations, until they are reaped
  std::unique_ptr<Preparation> preparation_;
  std::deque<rollout::Command> queue_;
  bool performing_ = false;
  rollout::Commands undone_;  // interrupted by an exception, to be carried out again
  Timer undone_timer_;
  std::optional<PendingReload> reload_;
  std::map<rollout::RequestId, protocol::Json> reload_changes_;  // until the answer
  unsigned steered_ = 0;
  std::string start_remark_;  // why the start runs another release than the committed one, or what was
                              // repaired; may be empty
  bool booted_ = false;       // Options::on_ready is still to be called
  std::optional<Outcome> outcome_;
  rlimit files_of_workers_;  // RLIMIT_NOFILE
  Reexecution reexecution_;
  std::optional<Keeping> keeping_;
  // The engine has not changed since its state was kept, or keeping it at once has failed.
  bool is_kept_ = false;
  // What the start says that has taken over; until it has been applied.
  struct LateStart {
    rollout::Release start;
    std::optional<ConfigReading::Found> found = {};  // nullopt: hosts are being looked up
    bool is_reloaded = false;
  };
  std::optional<LateStart> late_start_;
};

}  // namespace liveswap::master
