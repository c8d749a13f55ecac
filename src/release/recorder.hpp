#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace liveswap::release {

// "2026-11-22T23:17:58.042Z".
std::string utc_text(std::chrono::system_clock::time_point time);

// A short receipt, for lists: without slots, phases and counts.
nlohmann::json summary_of(const nlohmann::json& receipt);

// Builds the receipt of one upgrade, rollback or start: takes events, returns the JSON document of
// docs/reference/receipt.md. Pure. Times are of the caller's steady clock; the receipt has them in
// milliseconds since `start`. Events of unknown workers are ignored. Records at most `worker_limit` workers;
// further ones (a crash loop during a long bake) are counted.
class Recorder {
 public:
  using Time = std::chrono::milliseconds;
  using Id = std::uint64_t;
  using Json = nlohmann::json;

  static constexpr std::size_t worker_limit = 8192;
  static constexpr std::size_t left_limit = 64;

  // The code of a worker: the old, the new, or the old again after a revert.
  enum class Role { before, fresh, back };  // in receipts "old", "new", "back"
  enum class End { clean, forced, crashed };

  // `head`: members known at the start: "kind", "asked", "from", "to", "plan". With "flip" in the plan, new
  // workers take connections only from flip() on.
  Recorder(Time start, std::string started, Json head);
  Recorder();  // for describe()
  Recorder(Recorder&&) noexcept;
  Recorder& operator=(Recorder&&) noexcept;
  ~Recorder();

  // Replaces members of the head that become known later, such as the id in "to".
  void amend(const Json& members);

  // Begins a phase and ends the previous one. No effect if the phase is already running.
  void phase(Time time, const std::string& name);

  // `spawned` may be before the start. A worker of role `before` that existed at the start has no spawn time.
  void worker(Time spawned, Id id, unsigned slot, std::uint64_t generation, Role role, pid_t pid);
  void ready(Time time, Id id);
  void draining(Time time, Id id);
  // Number of open connections at each count. The first count after draining(), or else the last before, is
  // the number to drain.
  void connections(Id id, std::uint64_t open);
  // Idle connections ended, and handed off to the successor, during the drain; the last call counts.
  void idle(Id id, std::uint64_t ended, std::uint64_t handed_off);
  // A process left behind by the worker that holds these listeners; `ended`: the master has killed it. At
  // most `left_limit`.
  void left(Id id, pid_t pid, const std::string& program, const std::set<std::string>& listeners, bool ended);
  // The master begins to end the worker by force (listeners revoked, SIGTERM, SIGKILL); `why` is for people.
  void forced(Id id, const std::string& why);
  // Counts the worker as crashed, whatever its exit status: for example, a worker that returned 0 before its
  // drain. `reason` is for people.
  void failed(Id id, const std::string& reason);
  // `exit`: "0", "1", "SIGKILL".
  void gone(Time time, Id id, const std::string& exit, End end);
  // From this moment, new connections go to the new workers.
  void flip(Time time);
  // The new code does not bind this listener of the old code.
  void dropped(const std::string& listener);

  // Connections in the accept queue of a listener; the maximum is kept. Empty: not measurable.
  void depth(const std::string& listener, std::optional<std::uint64_t> waiting);
  // One round of health probes; rounds are summed.
  void probes(std::uint64_t made, std::uint64_t failed);
  // Requests counted by the workers of a role since the start; the last call counts. `back` counts as old.
  void requests(Role role, std::uint64_t served, std::uint64_t failed);

  // Ends the last phase and returns the document. `outcome`: "ok", "failed", "refused", "reverted" or
  // "timed_out".
  Json finish(Time time, const std::string& outcome, const std::string& reason);

  // All members as values (master/state/archive.hpp).
  template <class Archive>
  void describe(Archive& a) {
    std::string head = head_text();
    a("start", start_)("started", started_)("head", head)("phases", phases_)("order", order_);
    a("workers", workers_)("unrecorded", unrecorded_)("flipped", flipped_)("dropped", dropped_);
    a("queues", queues_)("probes_made", probes_made_)("probes_failed", probes_failed_);
    a("old_requests", old_requests_)("new_requests", new_requests_);
    set_head(head);
  }

 private:
  struct LeftProcess {
    pid_t pid = 0;
    std::string program;
    std::set<std::string> listeners;
    bool ended = false;
    template <class Archive>
    void describe(Archive& a) {
      a("pid", pid)("program", program)("listeners", listeners)("ended", ended);
    }
  };
  struct Worker {
    unsigned slot = 0;
    std::uint64_t generation = 0;
    Role role = Role::before;
    pid_t pid = 0;
    std::optional<Time> spawned, ready, drain, gone;
    std::string exit, force;
    std::optional<std::string> failure;
    End end = End::clean;
    std::optional<std::uint64_t> open;  // last count
    std::optional<std::uint64_t> to_drain;
    bool counted_in_drain = false;
    std::uint64_t ended = 0, handed_off = 0;
    std::vector<LeftProcess> left;
    template <class Archive>
    void describe(Archive& a) {
      a("slot", slot)("generation", generation)("role", role)("pid", pid)("spawned", spawned);
      a("ready", ready)("drain", drain)("gone", gone)("exit", exit)("force", force)("failure", failure);
      a("end", end)("open", open)("to_drain", to_drain)("counted_in_drain", counted_in_drain);
      a("ended", ended)("handed_off", handed_off)("left", left);
    }
  };
  struct Phase {
    std::string name;
    Time at{0};
    std::optional<Time> end;
    template <class Archive>
    void describe(Archive& a) {
      a("name", name)("at", at)("end", end);
    }
  };
  struct Requests {
    std::uint64_t served, failed;  // with initializers, clang 14 could not make one within this class
    template <class Archive>
    void describe(Archive& a) {
      a("served", served)("failed", failed);
    }
  };
  std::string head_text() const;
  void set_head(const std::string& text);

  Worker* find(Id id);
  void end_phase(Time time);
  Json json_of(const Worker& worker) const;
  Json slots() const;
  Time skew(Time finish) const;

  Time start_{0};
  std::string started_;
  std::unique_ptr<Json>
      head_;  // by pointer: a file that includes this header need not compile the JSON library
  std::vector<Phase> phases_;
  std::vector<Id> order_;  // in order of worker()
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
