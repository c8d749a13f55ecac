#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "liveswap.hpp"
#include "master/control/control_server.hpp"
#include "master/health/prober.hpp"
#include "master/instance_lock.hpp"
#include "master/open_receipts.hpp"
#include "master/preparation/preparation.hpp"
#include "master/preparation/reader.hpp"
#include "master/sockets/listeners.hpp"
#include "master/sockets/queue_watch.hpp"
#include "master/uv/loop.hpp"
#include "master/uv/reaper.hpp"
#include "master/uv/signals.hpp"
#include "master/workers/worker_pool.hpp"
#include "master/workers/worker_query.hpp"
#include "release/store.hpp"
#include "rollout/engine.hpp"
#include "rollout/start.hpp"

namespace liveswap::master {

rollout::Amount amount_of(const Amount& amount);

// From a question to the history to its answer, the time included in which others are answered.
inline constexpr Milliseconds reading_limit{30'000};

// How upgrades go that wish nothing else.
rollout::Pace pace_of(const Options& options);

// The master: carries what happens (workers, clients, signals, time) to the rollout engine as events, and
// carries out its commands. It decides nothing about workers itself, and ends only when the engine says so.
class Master {
 public:
  // `options` are validated and settled (setup.hpp); everything else is taken over. `store_request`:
  // liveswap-store.
  Master(uv_loop_t& loop, Options options, InstanceLock lock, Listeners listeners,
         SpawnRequest worker_request, SpawnRequest store_request);
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;
  ~Master();

  Result<void> open_control(const std::string& token);
  // Starts the workers, of `start.id` from the store or, when that is empty, of what is at `start.path` now,
  // and runs the loop until all of them have gone again.
  Outcome run(const rollout::Release& start);

 private:
  // A request that the engine has not answered yet.
  struct Pending {
    ConnectionId connection = 0;  // 0: nobody waits
    protocol::Verb verb = protocol::Verb::status;
    bool detach = false;  // of an upgrade: answer when it is under way
    std::string asked;    // of an upgrade: its value
    std::string by;       // who asked
    rollout::Time since{0};
  };
  // A worker that failed, and what it wrote last.
  struct Failure {
    rollout::RequestId request = 0;
    std::string reason;
    std::string output;
    unsigned slot = 0;
    rollout::Generation generation = 0;
    pid_t pid = 0;
    rollout::Time at{0};
  };
  struct LastUpgrade {
    rollout::Verdict verdict = rollout::Verdict::ok;
    std::string text;
    std::uint64_t receipt = 0;
    rollout::Time at{0};
  };

  // A worker that has no process yet: its release is being verified. `note` tells of its start.
  struct Unstarted {
    rollout::Spawn order;
    std::optional<rollout::Note> note;
  };

  // master.cpp
  void boot(const rollout::Release& release, const std::string& remark);
  WorkerPool::Handlers pool_handlers();
  WorkerPool::Template pool_template(SpawnRequest request) const;
  rollout::Time now() const;
  void perform(rollout::Commands commands);
  void settle();

  // cut_off.cpp
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

  // master.cpp
  void look_at_app_listeners();
  void mend_files();
  void watch_files();
  void judge_starting(const std::vector<AppListeners::Judged>& judged);
  void carry_out(const rollout::Drain& command);
  void carry_out(const rollout::Expire& command);
  void carry_out(const rollout::Signal& command);
  void carry_out(const rollout::Steer& command) { steered_ = command.slots; }
  void carry_out(const rollout::CloseSlots& command);
  void carry_out(const rollout::Booted&);
  void tell_ready();
  void notice(const std::string& text) const;
  void carry_out(const rollout::Answer& command);
  void carry_out(const rollout::Quit& command);
  void carry_out(const rollout::Note& note);
  void keep_for_later(const rollout::Note& note);
  void keep_failure(const rollout::Note& note);
  std::string with_output_of(rollout::RequestId request, const std::string& reason) const;
  bool has_successor(rollout::WorkerId worker) const;
  bool is_crowded(rollout::WorkerId worker) const;
  void drain_crowded();
  void obey(Signals::Order order, const char* name);
  void note_event(const rollout::Note& note);

  // upgrades.cpp
  void on_upgrade(rollout::RequestId request, const protocol::Command& command);
  Options instantly() const;
  void on_rollback(rollout::RequestId request, const protocol::Command& command);
  void find_earlier(rollout::RequestId request, const std::string& which, rollout::UpgradeRequest wish);
  void roll_back(rollout::RequestId request, rollout::UpgradeRequest wish, const rollout::Release& release);
  void carry_out(const rollout::Prepare& command);
  void carry_out(const rollout::CancelPrepare&);
  void carry_out(const rollout::Commit& command);
  void note_committed(const rollout::Release& release, const rollout::Release& before,
                      rollout::RequestId request);
  Result<void> record(const rollout::Release& release);
  void record_later(const std::string& trouble, Milliseconds pause);
  std::string record_at_last();
  void carry_out(const rollout::Flip&);
  void carry_out(const rollout::Measure&);
  void begin_preparation(const std::string& value);
  void watch_flip();
  void collect();
  void compare(const rollout::Release& committed);
  void cancel_task(std::unique_ptr<Task>& task);

  // soundness.cpp
  bool is_sealed(const rollout::Release& release) const;
  std::string file_of(const rollout::Release& release) const;
  void note_seal(const rollout::Release& release, const std::string& seal);
  void forget_seals(const std::set<std::string>& keep);
  using OnChecked = std::function<void(const rollout::Checked&)>;
  void verify(const rollout::Release& release, bool substitute, OnChecked done);
  rollout::Checked checked(const rollout::Release& release, const Task::Result& result);
  void find_substitute(const rollout::Release& release, const rollout::Checked& found, OnChecked done);
  void add_substitute(rollout::Checked& found, const std::vector<release::Committed>& own,
                      const Task::Result& result);
  void carry_out(const rollout::Spawn& command);
  void start_worker(const rollout::Spawn& command);
  void on_checked(const rollout::Release& release, const rollout::Checked& found);
  bool unstarted(rollout::WorkerId worker);
  bool is_gone(rollout::WorkerId worker);
  void fall_back(const rollout::Release& release, const rollout::Checked& found);
  void forget_falls(rollout::RequestId request);
  void verify_boot(const rollout::Release& release);
  void boot_later(const rollout::Release& release, const rollout::Checked& found);
  void boot_checked(const rollout::Release& release, const rollout::Checked& found);
  std::string way_to(const rollout::Checked& found) const;

  // receipts.cpp
  void open_receipt(const rollout::Note& note);
  void account(const rollout::Note& note);
  release::Recorder* upgrade_receipt();
  void sample_queues();
  OpenReceipts::Closed close_receipt(rollout::RequestId request, const char* outcome,
                                     const std::string& reason);
  void on_history(rollout::RequestId request, const std::string& count);
  void on_receipt(rollout::RequestId request, const std::string& number);
  void pass_on(rollout::RequestId request, std::vector<std::string> words);
  void pass_on(rollout::RequestId request, Reader::Reply& reply);
  void refuse_unread(rollout::RequestId request, const Task::Result& result);

  // queues.cpp
  bool is_quiet() const;
  void watch_queues();
  void on_waiting(const QueueWatch::Place& place, ino_t inode);

  // watching.cpp
  void watch();
  void watch_round();
  void on_probed(const Prober::Findings& found);
  void count_served();
  void tell_served(const std::map<rollout::WorkerId, rollout::Served>& served);

  // requests.cpp
  void on_command(ConnectionId connection, const protocol::Command& command);
  void begin(rollout::RequestId request, const protocol::Command& command);
  void on_forks(rollout::RequestId request, const protocol::Command& command);
  void on_message(rollout::RequestId request, const std::string& text);
  void on_status(rollout::RequestId request);
  void answer_or_give_up(rollout::RequestId request, const std::function<void()>& work);
  void answer(rollout::RequestId request, const std::string& line);
  void refuse(rollout::RequestId request, protocol::Refusal refusal, const std::string& text);
  std::int32_t ask(std::set<rollout::WorkerId> workers, Milliseconds limit, WorkerQuery::Done done);

  // report.cpp
  protocol::Json worker_status(const rollout::Engine::Worker& worker,
                               const WorkerQuery::Answers& connections) const;
  protocol::Json slot_status(unsigned number, const WorkerQuery::Answers& connections) const;
  protocol::Json status(const WorkerQuery::Answers& connections);
  protocol::Json left_status();
  std::string start_remark() const;
  protocol::Json last_failure_of(unsigned slot) const;
  protocol::Json upgrade_status(rollout::RequestId request) const;
  protocol::Json queued_status(rollout::RequestId request) const;
  protocol::Json members_of(const rollout::Note& note) const;
  void log_note(const rollout::Note& note) const;
  void log_state(const char* why) const;

  uv_loop_t& loop_;
  Options options_;
  InstanceLock lock_;
  Listeners listeners_;
  std::string home_;  // the working directory the master was started in
  Preparation::Tools tools_;
  release::Store store_;
  OpenReceipts open_receipts_;
  Reader reader_;    // of what clients ask
  Reader resolver_;  // finds the release of a rollback; apart from `reader_`, so that clients' questions do
                     // not delay it
  Reader verifier_;  // of the bytes in the store
  std::map<std::string, std::string> seals_;                 // by file in the store: of what was hashed
  std::map<std::string, std::string> unsound_;               // by file in the store: what is wrong with it
  std::map<std::string, std::vector<Unstarted>> unstarted_;  // by file in the store
  std::set<std::string> verifying_;                          // files in the store that are hashed for workers
  std::set<std::string> fell_through_;  // ids that rollbacks of the master's own go to, or have failed with
  std::string without_way_back_;        // id of the release of which that was told
  Timer boot_timer_;
  std::optional<rollout::Time>
      boot_told_;             // when it was told last that the release of the start is not hashed yet
  std::string start_remark_;  // what was wrong with the release of the start; empty: nothing
  AppListeners app_listeners_;
  WorkerPool pool_;
  rollout::Engine engine_;
  Timer timer_;
  struct Crowded {
    rollout::Drain order;
    rollout::Time since{0};
  };
  std::vector<Crowded> crowded_;
  Timer crowd_timer_;
  Timer flip_timer_;
  Timer record_timer_;
  std::string record_trouble_;  // why the committed release is not recorded yet; empty: it is
  Timer app_listeners_timer_;
  std::map<std::string, std::unique_ptr<FileWatch>> file_watches_;  // of Unix listeners, by path
  Timer queue_timer_;
  QueueWatch queue_watch_;
  Timer watch_timer_;
  std::string watched_phase_;
  Prober prober_;
  std::map<rollout::WorkerId, rollout::Served> served_before_;  // of old workers, when the upgrade began
  std::optional<std::string>
      unprepared_;  // value of an upgrade whose preparation waits for a round of probes
  rollout::Time flip_began_{0};
  std::unique_ptr<ControlServer> control_;
  std::optional<Signals> signals_;
  std::optional<Reaper> reaper_;
  std::list<std::unique_ptr<Task>> dying_;  // cancelled, and not reaped yet
  std::unique_ptr<Preparation> preparation_;
  std::unique_ptr<Task> collection_;
  std::unique_ptr<Task> comparison_;
  std::string compared_;  // what it found, while the release is the one that was started; empty: nothing
  bool booted_ = false;   // on_ready is due
  std::map<std::int32_t, std::unique_ptr<WorkerQuery>> queries_;
  std::int32_t last_question_ = 0;
  std::map<rollout::RequestId, Pending> pending_;
  rollout::RequestId last_request_ = 0;
  std::deque<rollout::Command> queue_;
  bool performing_ = false;
  rollout::Commands undone_;  // cut off by an exception, and due again
  Timer undone_timer_;
  unsigned steered_ = 0;
  rollout::Time started_{0};
  std::deque<Failure> failures_;              // the newest of all, the last one behind
  std::map<unsigned, Failure> last_failure_;  // by slot
  std::optional<LastUpgrade> last_upgrade_;
  std::optional<Outcome> outcome_;
};

}  // namespace liveswap::master
