#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "master/app_listeners/app_listeners.hpp"
#include "master/sockets/listeners.hpp"
#include "master/workers/cgroups.hpp"
#include "master/workers/left_behind.hpp"
#include "master/workers/process_log.hpp"
#include "master/workers/worker_process.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// The worker processes by worker id. Turns the engine's commands into processes, frames and signals, and
// what workers do into events. What a worker reports is checked; a false report can harm that worker only.
class WorkerPool {
 public:
  // Idle connections that a draining worker has closed, or handed to a successor.
  struct Idle {
    std::uint64_t ended = 0;
    std::uint64_t handed_off = 0;
  };
  struct Handlers {
    std::function<void(rollout::WorkerId, bool deferred)> entered;
    std::function<void(rollout::WorkerId)> deferred;
    std::function<void(rollout::WorkerId)> ready;
    std::function<void(rollout::WorkerId, const std::string& text)> returned;  // without a request to drain
    std::function<void(rollout::WorkerId, const rollout::Departure&)> exited;  // pid() still works
    std::function<void(rollout::WorkerId, std::int32_t question, std::uint64_t answer)> answered;
    std::function<void(rollout::WorkerId, std::uint64_t open)> connections;  // of a draining worker, unasked
    // A worker has reported what a next master needs to know.
    std::function<void()> noted = {};
    // A worker has bound or closed a listener.
    std::function<void()> app_listeners_changed = {};
    // A connection that was handed off waits until a worker can take it.
    std::function<void()> connection_waits = {};
    std::function<void(rollout::WorkerId, bool is_stopped)> stopped = {};
    // What became of the connection of a liveness check with this number (< 0).
    std::function<void(rollout::WorkerId, std::int32_t number, AppListeners::Taken what)> taken = {};
    // liveswap_heartbeat(). The next one follows within this time, as the worker was told at its start.
    std::function<void(rollout::WorkerId, Milliseconds)> beat = {};
  };
  using Start = std::function<Result<std::unique_ptr<WorkerProcess>>(uv_loop_t&, spawn::Request,
                                                                     WorkerProcess::Handlers)>;
  // Common to all workers; spawn() fills in arguments and descriptors.
  struct Template {
    spawn::Request request;
    std::vector<std::string> application_arguments;
    std::vector<std::string> more;  // non-default options of the worker host (contract/channel.h)
    std::function<std::string(const rollout::Release&)> file_of;  // the file in the store
    std::function<UniqueFd()> life;                               // a lock held by living workers
    std::optional<rollout::Time> drain_limit;                     // for a worker after the master's death
    rollout::Time term_grace{0};
    Start start = WorkerProcess::start;  // replaced in tests
    Cgroups cgroups = {};
  };

  // The settings of a worker's process that a reload may change; numbered by rollout::Profile.
  struct Profile {
    spawn::Request request;
    std::vector<std::string> application_arguments;
    std::vector<std::string> more;
    Lending lending;
  };

  WorkerPool(uv_loop_t& loop, Template base, const Listeners& listeners, AppListeners& app_listeners,
             Handlers handlers);

  // Adds settings for a new generation and returns their number. Forgets all but these and `committed`.
  rollout::Profile add_profile(Profile profile, rollout::Profile committed);
  // Forgets all but this one, and so lets go of the listeners that only others lend.
  void keep_profile(rollout::Profile committed);
  // For workers that start from now on.
  void set_limits(std::optional<rollout::Time> drain_limit, rollout::Time term_grace);

  // If the spawn fails, exited() is called at once.
  void spawn(const rollout::Spawn& order);
  // `succeeded`: a ready worker serves the slot.
  void drain(rollout::WorkerId worker, std::optional<rollout::Time> limit, bool succeeded);
  void revoke(rollout::WorkerId worker);
  void signal(rollout::WorkerId worker, bool kill);

  // Both send a question (> 0) to one worker; answered() gets the answer. For a message: 1 accepted, 0
  // refused.
  bool send_message(rollout::WorkerId worker, std::int32_t question, const std::string& text);
  void count_connections(rollout::WorkerId worker, std::int32_t question);

  // Sends the worker a frame about application listeners (AppListeners::Send).
  bool tell(rollout::WorkerId worker, std::uint32_t kind, std::int32_t value, const Extras& extras);

  // Reports the workers that a signal has stopped, or made run again, since the last call, and removes
  // cgroups of ended workers that have become empty. Cheap: call at each SIGCHLD.
  void look_for_stops();

  // Whether no frame waits for room in a channel.
  bool is_idle() const;
  // Every worker, for the next image of the program. Only if is_idle().
  std::vector<state::WorkerState> save() const;
  std::vector<state::OutputState> save_left() const;
  // A worker of the former image, or of a killed master; on failure it is killed. AppListeners has adopted it
  // already.
  Result<void> adopt(const state::WorkerState& from);
  void adopt_left(const state::OutputState& from) { keep_left(Output::adopt(loop_, from)); }

  // 0: the worker has no process.
  pid_t pid(rollout::WorkerId worker) const { return find(worker).pid; }
  // Without a process, everything is empty. Also valid within exited().
  struct Known {
    pid_t pid = 0;
    unsigned channel_version = 0;  // LIVESWAP_CHANNEL_VERSION of the worker host
    rollout::Served served;        // by the last report
    Idle idle;
    std::string exit_code;         // "0", "3", "SIGKILL"; set within exited() only
    std::vector<Holder> left;      // processes with listening sockets; set within exited() only
    bool counts_requests = false;  // the application has called liveswap_served()
  };
  const Known& find(rollout::WorkerId worker) const;
  // False: the worker has served no request that it counts.
  bool may_have_served(rollout::WorkerId worker) const;
  // What the worker is lent; without a process: what the present configuration lends.
  const Lending& lending(rollout::WorkerId worker) const;
  // The last lines of output and log (Tail::text()); also valid within exited().
  std::string last_output(rollout::WorkerId worker) const;

  using Remaining = RemainingHolder;
  // Checks the processes found earlier again and drops those without a listening socket. At most
  // `remaining_limit`.
  std::vector<Remaining> remaining();
  // As found by the former image of the program.
  void adopt_remaining(const std::vector<Remaining>& found) { remaining_ = found; }
  // Without checking them.
  const std::vector<Remaining>& last_remaining() const { return remaining_; }

 private:
  // Lines of liveswap_log a second.
  static constexpr unsigned log_lines = 1000;

  struct Entry : Known {
    std::unique_ptr<WorkerProcess> process;
    Listeners::Hold sockets;
    Lending lending;
    unsigned slot = 0;
    rollout::Generation generation = 0;
    int stage = LIVESWAP_STAGE_SPAWN;
    bool draining = false;
    bool retiring = false;               // the worker host drains the application from outside
    bool forked = false;                 // forked children may have connections
    bool forced = false;                 // force has begun
    std::optional<Milliseconds> killed;  // when SIGKILL was sent
    bool outlived = false;               // ended; left processes are waited for
    Traces traces;
    std::optional<std::uint64_t> open;  // connections, by the last report of a drain
    std::uint64_t elsewhere = 0;        // of those, held by other processes
    std::uint64_t cut = 0;              // those of other processes when the first signal was sent
    ProcessLog log{log_lines, std::chrono::seconds(1)};
    std::string failure;  // the worker host's own report
  };
  WorkerProcess::Handlers handlers_of(rollout::WorkerId id);
  void on_frame(rollout::WorkerId id, Frame& frame);
  void note_taken(rollout::WorkerId id, const Frame& frame);
  static void note_served(Entry& entry, const std::string& text);
  static void note_idle(Entry& entry, const std::string& text);
  void note_open(rollout::WorkerId id, Entry& entry, std::uint64_t open);
  bool is_outlived(rollout::WorkerId id);
  static bool may_have_left(const Entry& entry);
  void note_left(Entry& entry, std::vector<Holder> holders);
  bool is_remaining(const LeftProcess& process) const;
  void on_ended(rollout::WorkerId id, const Ending& ending);
  void part_with(rollout::WorkerId id, const Ending& ending);
  spawn::Request request_for(const rollout::Spawn& order, const Profile& profile) const;
  Profile profile_of(const rollout::Spawn& order) const;
  void keep_left(std::unique_ptr<Output> output);

  uv_loop_t& loop_;
  Template base_;
  std::map<rollout::Profile, Profile> profiles_;  // 0 is also in `base_`
  rollout::Profile last_profile_ = 0;
  const Listeners& listeners_;
  AppListeners& app_listeners_;
  Handlers handlers_;
  std::map<rollout::WorkerId, Entry> entries_;
  LeftBehind left_behind_;
  std::vector<Remaining> remaining_;
  std::list<std::unique_ptr<Output>> left_;  // of processes that workers have left behind
};

}  // namespace liveswap::master
