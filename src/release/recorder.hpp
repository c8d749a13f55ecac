#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace liveswap::release {

// "2026-11-22T23:17:58.042Z".
std::string utc_text(std::chrono::system_clock::time_point time);

// A receipt in short, as a line of the history has it: without slots, phases and what was counted.
nlohmann::json summary_of(const nlohmann::json& receipt);

// Writes the receipt of one upgrade, rollback or start while it happens: events in, the JSON document of
// docs/reference/receipt.md out. Pure; all times are of one steady clock of the caller's, and stand in the
// receipt as milliseconds since `start`. An event of a worker that was never introduced is passed over. Of
// the workers at most `worker_limit` are written down, further ones (a crash loop in a long bake) are
// counted.
class Recorder {
 public:
  using Time = std::chrono::milliseconds;
  using Id = std::uint64_t;
  using Json = nlohmann::json;

  static constexpr std::size_t worker_limit = 8192;
  static constexpr std::size_t left_limit = 64;

  // What a worker runs in this upgrade: the code before it, the code that is to be proven, or the code before
  // it again, in a slot that went back.
  enum class Role { before, fresh, back };  // "old", "new", "back"
  enum class End { clean, forced, crashed };

  // `head`: the members that are known before anything happens: "kind", "asked", "from", "to", "plan". "flip"
  // in the plan decides from when on new workers take connections.
  Recorder(Time start, std::string started, Json head);

  // Members of the head that are known later, as the id of "to"; each replaces the one of its name.
  void amend(const Json& members);

  // Ends the phase before it. The same phase again goes on.
  void phase(Time time, const std::string& name);

  // `spawned` may be before the start. A worker of role `before` that was there at the start has no time of
  // its own.
  void worker(Time spawned, Id id, unsigned slot, std::uint64_t generation, Role role, pid_t pid);
  void ready(Time time, Id id);
  void draining(Time time, Id id);
  // The connections that are open in a worker, whenever they have been counted; the first count after
  // draining() (without one, the last before it) is what it had to drain.
  void connections(Id id, std::uint64_t open);
  // Idle connections that a worker has ended in its drain, and that it has handed to its successor; the last
  // call counts.
  void idle(Id id, std::uint64_t ended, std::uint64_t moved);
  // A process that it has left behind with these listeners open; `ended`: and that was ended. At most
  // `left_limit` are kept.
  void left(Id id, pid_t pid, const std::string& program, const std::set<std::string>& listeners, bool ended);
  // Force has begun: why, for people.
  void forced(Id id, const std::string& why);
  // It has failed, which its end does not show: it may return 0 too early, or be ended by force. `reason`:
  // for people.
  void failed(Id id, const std::string& reason);
  // `exit`: "0", "1", "SIGKILL".
  void gone(Time time, Id id, const std::string& exit, End end);
  // The moment from which new connections go to the new workers.
  void flip(Time time);
  // The new code leaves out that listener, which the old code served.
  void dropped(const std::string& listener);

  // Connections that waited in the accept queue of a listener; the peak is kept. Nothing: cannot be measured.
  void depth(const std::string& listener, std::optional<std::uint64_t> waiting);
  // One round of health probes; rounds add up.
  void probes(std::uint64_t made, std::uint64_t failed);
  // What the workers of a role have counted since the upgrade began; the last call counts. `back` is "old".
  void requests(Role role, std::uint64_t served, std::uint64_t failed);

  // Ends the phase and gives the document. `outcome`: "ok", "failed", "refused", "reverted" or "timed_out".
  Json finish(Time time, const std::string& outcome, const std::string& reason);

 private:
  struct Worker {
    unsigned slot = 0;
    std::uint64_t generation = 0;
    Role role = Role::before;
    pid_t pid = 0;
    std::optional<Time> spawned, ready, drain, gone;
    std::string exit, force;
    std::optional<std::string> failure;
    End end = End::clean;
    std::optional<std::uint64_t> open;  // as counted last
    std::optional<std::uint64_t> to_drain;
    bool counted_in_drain = false;
    std::uint64_t ended = 0, moved = 0;
    Json left = Json::array();
  };
  struct Phase {
    std::string name;
    Time at;
    std::optional<Time> end;
  };
  struct Requests {
    std::uint64_t served, failed;
  };

  Worker* find(Id id);
  void end_phase(Time time);
  Json json_of(const Worker& worker) const;
  Json slots() const;
  Time skew(Time finish) const;

  Time start_;
  std::string started_;
  Json head_;
  std::vector<Phase> phases_;
  std::vector<Id> order_;  // in which the workers came
  std::map<Id, Worker> workers_;
  std::size_t unrecorded_ = 0;
  std::optional<Time> flipped_;
  std::vector<std::string> dropped_;
  std::vector<std::pair<std::string, std::optional<std::uint64_t>>> queues_;
  std::uint64_t probes_made_ = 0;
  std::uint64_t probes_failed_ = 0;
  std::optional<Requests> old_requests_;
  std::optional<Requests> new_requests_;
};

}  // namespace liveswap::release
