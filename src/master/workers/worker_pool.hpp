#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "master/app_listeners/app_listeners.hpp"
#include "master/sockets/listeners.hpp"
#include "master/workers/left_behind.hpp"
#include "master/workers/process_log.hpp"
#include "master/workers/worker_process.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// The workers' processes by the engine's numbers: turns its commands into processes, frames and signals, and
// what those do into its events. What a worker says is believed only so far as it can harm nobody but itself.
class WorkerPool {
 public:
  // Requests of one worker since its start, as its application counts them.
  struct Served {
    std::uint64_t served = 0;  // those that failed included
    std::uint64_t failed = 0;
  };
  // Idle connections that a worker has ended in its drain, and that it has handed to its successor.
  struct Idle {
    std::uint64_t ended = 0;
    std::uint64_t moved = 0;
  };
  struct Handlers {
    std::function<void(rollout::WorkerId, bool deferred)> entered;
    std::function<void(rollout::WorkerId)> deferred;
    std::function<void(rollout::WorkerId)> ready;
    std::function<void(rollout::WorkerId, const std::string& text)> returned;  // without having been asked to
    std::function<void(rollout::WorkerId, const rollout::Departure&)> exited;  // its pid is still known here
    std::function<void(rollout::WorkerId, std::int32_t question, std::uint64_t answer)> answered;
    std::function<void(rollout::WorkerId, std::uint64_t open)> connections;  // of a draining worker, unasked
    std::function<void(rollout::WorkerId, const Served&)> served = {};  // with every count of connections
    // A worker has bound or closed a listener of its own, or handed something off.
    std::function<void()> taken_over = {};
  };
  using Start = std::function<Result<std::unique_ptr<WorkerProcess>>(uv_loop_t&, SpawnRequest,
                                                                     WorkerProcess::Handlers)>;
  // What every worker is started with; arguments and descriptors are filled in for each.
  struct Template {
    SpawnRequest request;
    std::vector<std::string> application_arguments;
    std::vector<std::string>
        more;  // options of the worker host that are not the default (contract/channel.h)
    std::function<std::string(const rollout::Release&)> file_of;  // where it lies in the store
    std::function<UniqueFd()> life;            // the lock that tells of a worker that lives
    std::optional<rollout::Time> drain_limit;  // what a worker gives itself when its master has died
    rollout::Time term_grace{0};
    Start start = WorkerProcess::start;  // tests have workers without processes
  };

  WorkerPool(uv_loop_t& loop, Template base, const Listeners& listeners, AppListeners& takeover,
             Handlers handlers);

  // exited() is called, at once, when it cannot be spawned.
  void spawn(const rollout::Spawn& order);
  // `succeeded`: another worker serves in its place.
  void drain(rollout::WorkerId worker, std::optional<rollout::Time> limit, bool succeeded);
  void expire(rollout::WorkerId worker);
  void signal(rollout::WorkerId worker, bool kill);

  // Each asks one worker; the answer comes back with `question` (> 0). A message: 1 taken, 0 refused.
  bool send_message(rollout::WorkerId worker, std::int32_t question, const std::string& text);
  void count_connections(rollout::WorkerId worker, std::int32_t question);

  // What a worker is told about listeners of its own (AppListeners::Send).
  bool tell(rollout::WorkerId worker, std::uint32_t kind, std::int32_t value, const Extras& extras);

  // 0 when that worker has no process.
  pid_t pid(rollout::WorkerId worker) const;
  // As the worker has said last; also while exited() tells of it.
  Served served(rollout::WorkerId worker) const;
  Idle idle(rollout::WorkerId worker) const;
  // "0", "3", "SIGKILL": how a worker that exited() tells of has ended.
  std::string exit_code(rollout::WorkerId worker) const;
  // What it has written last, and logged (Tail::text()); also while exited() tells of it.
  std::string last_output(rollout::WorkerId worker) const;
  // What it has left with a listening socket; while exited() tells of it.
  std::vector<Holder> left(rollout::WorkerId worker) const;

  // A process that a worker has left, which has executed a program of its own, and still has listening
  // sockets.
  struct Remaining {
    Holder holder;
    unsigned slot = 0;
    rollout::Generation generation = 0;
  };
  // Looks at those that were found, at most `remaining_limit`, whether they still have.
  std::vector<Remaining> remaining();

 private:
  // What a worker logs by liveswap_log: so many lines a second.
  static constexpr unsigned log_lines = 1000;

  struct Entry {
    std::unique_ptr<WorkerProcess> process;
    Listeners::Hold sockets;
    unsigned slot = 0;
    pid_t pid = 0;
    rollout::Generation generation = 0;
    int stage = LIVESWAP_STAGE_SPAWN;
    bool draining = false;
    bool retiring = false;               // its worker host waits for connections
    bool forked = false;                 // processes that it has made may have connections
    bool expired = false;                // force has begun
    std::optional<Milliseconds> killed;  // when SIGKILL was sent
    bool outlived = false;               // it has ended, and these are waited for
    Traces traces;
    std::vector<Holder> left;
    Served served;
    Idle idle;
    std::optional<std::uint64_t> open;  // connections, as said last during a drain
    ProcessLog log{log_lines, std::chrono::seconds(1)};
    std::string failure;  // what the worker host said of itself
    std::string exit_code;
  };
  void on_frame(rollout::WorkerId id, Frame& frame);
  void note_served(rollout::WorkerId id, Entry& entry, const std::string& text);
  static void note_idle(Entry& entry, const std::string& text);
  void note_open(rollout::WorkerId id, Entry& entry, std::uint64_t open);
  bool is_outlived(rollout::WorkerId id);
  void note_left(Entry& entry, std::vector<Holder> holders);
  bool is_remaining(const LeftProcess& process) const;
  void on_ended(rollout::WorkerId id, const Ending& ending);
  void part_with(rollout::WorkerId id, const Ending& ending);
  SpawnRequest request_for(const rollout::Spawn& order) const;
  void keep_left(std::unique_ptr<Output> output);

  uv_loop_t& loop_;
  Template base_;
  const Listeners& listeners_;
  AppListeners& app_listeners_;
  Handlers handlers_;
  std::map<rollout::WorkerId, Entry> entries_;
  LeftBehind left_behind_;
  std::vector<Remaining> remaining_;
  std::list<std::unique_ptr<Output>> left_;  // of processes that workers have left behind
};

}  // namespace liveswap::master
