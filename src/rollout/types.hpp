#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// The words of the rollout engine: settings, and the commands that it gives. All of it is values; nothing
// here knows of descriptors, processes or clocks.
namespace liveswap::rollout {

using Time = std::chrono::milliseconds;  // since any fixed moment, on a clock that never goes back
using WorkerId = std::uint64_t;          // given by the engine, never used twice
using Generation = std::uint64_t;
using RequestId = std::uint64_t;  // given by the caller; whom an answer is for. 0: nobody waits for it

// What is rolled out: the path as somebody asked for it, and the content that was found there.
struct Release {
  std::string path;
  std::string id;
  bool operator==(const Release&) const = default;
};

// A number of workers, or a share of `forks`, rounded up.
struct Amount {
  unsigned value = 0;
  bool percent = false;
  unsigned of(unsigned forks) const {
    return percent ? static_cast<unsigned>((std::uint64_t{forks} * value + 99) / 100) : value;
  }
};

// How one upgrade goes.
struct Pace {
  unsigned batch = 1;
  Amount surge{100, true};
  Amount canary;      // so many slots first; 0: no canary
  Time bake{30'000};  // then this long until the others
  Time probation{0};
  bool flip = false;  // all successors ready first, then all connections at one moment; excludes a canary
};

// The pace: of upgrades that ask for no other one.
struct Settings : Pace {
  unsigned forks = 2;
  bool zero_downtime = true;
  Amount max_draining{
      800, true};       // workers that may drain at once; at least `forks`, which is what one upgrade needs
  bool health = false;  // probed() is going to be told: nothing is committed before a good one
  std::uint64_t max_memory = 0;  // bytes that all workers together may take during an upgrade; 0: no matter

  Time settle{100};
  Time ready_limit{30'000};
  std::optional<Time> drain_limit{60'000};
  Time term_grace{2'000};
  Time prepare_limit{360'000};  // the last resort: whoever prepares has limits of his own
  Time unsteer{0};  // how long a slot that shall vanish still serves what the kernel has already given to it

  Time backoff_min{100};
  Time backoff_max{30'000};
  Time backoff_reset{10'000};
  std::uint32_t seed = 1;  // of the jitter
};

// A worker's life: starting → ready → draining → gone. The engine moves it: to `ready` when the worker says
// so or has survived its settle time; to `draining` from either, when a successor is ready, an upgrade
// reverts, or the master stops. `gone` is not a state but the end: the record is dropped the moment the
// process has been reaped.
enum class WorkerState {
  starting,  // spawned; may already accept, but nothing relies on it
  ready,     // serves its slot
  draining,  // finishes what it has; force is under way once its limit has passed
};

// Force comes in steps, `term_grace` apart, and ends with one that cannot be ignored.
enum class DrainStep {
  asked,    // told to drain
  expired,  // the limit has passed: its listeners are taken away
  termed,   // SIGTERM
  killed,   // SIGKILL
};

// What a worker that is not ready has not done yet, in words for its failure: "it had not come to wait on …".
struct Awaits {
  std::string text;    // empty: nothing
  std::string advice;  // what to do about it, once the ready limit has passed
};

// What somebody asks for.
struct UpgradeRequest {
  std::string path;                // empty: what is at the path of the committed release now
  std::optional<Release> release;  // of the store, proven before: needs no preparation
  Pace pace;
  bool queue = false;  // wait for what is under way; the newest wins
  std::string remark;  // told when it begins to roll, and with the answer; empty: nothing
  bool overtake =
      false;  // a rollback: ends an upgrade that is under way, and waits for no worker that drains
};

// A round of health probes.
struct Probe {
  unsigned made = 0;
  unsigned failed = 0;
  std::string text;  // of the first failure
};

// Requests that an application has counted (liveswap_served), since the worker's start.
struct Served {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;
};

// What the engine wants done. Commands are carried out in their order; an outcome comes back as an event.

struct Spawn {  // → worker events; or exited() at once when it cannot be spawned
  WorkerId worker;
  unsigned slot;
  Generation generation;
  Release release;
  bool staged;  // on sockets that get no connection before the Flip
};
struct Drain {
  WorkerId worker;
  std::optional<Time> limit;
};
struct Expire {  // its listeners are taken away
  WorkerId worker;
};
struct Signal {
  WorkerId worker;
  bool kill;  // SIGKILL, else SIGTERM
};
struct Prepare {  // run the hook, take the file, check it → prepared() or prepare_failed()
  RequestId request;
  std::string path;  // empty: that of the committed release
};
struct CancelPrepare {};  // it has taken too long, or the master stops: no event is awaited any more
struct Commit {           // write HEAD → committed() or commit_failed(), before any other event
  Release release;
};
struct Flip {
};  // from now on all new connections to the staged sockets → flipped(), once nothing waits in the others
struct Measure {};  // the memory of every worker → measured()
struct Steer {      // new connections only to slots below this number
  unsigned slots;
};
struct CloseSlots {  // nobody serves the slots from this number on any more
  unsigned slots;
};
struct Booted {};  // every slot serves for the first time

enum class Verdict {
  ok,
  failed,
  refused,
  reverted,
  timed_out,
  unreachable,  // done, but a file that clients find the application by is not in its place
};

// The files that clients find Unix listeners by, in words.
struct FileNews {
  std::vector<std::string> mended;  // since the last time
  std::vector<std::string> lost;    // now
};

struct Answer {
  RequestId request;
  Verdict verdict;
  std::string text;  // for people
};

struct Quit {  // every worker has gone
  bool ok;
  std::string text;
};

enum class NoteKind {  // one for each event of docs/reference/control-protocol.md
  preparing,
  started,
  spawned,
  ready,
  draining,
  expired,
  gone,
  failed,
  committed,
  reverting,
  waiting,
  queued,
  baking,
  flipping,
  flipped,
  probation,
  leaving,  // decided; who is superfluous leaves
  dropped,  // the new code leaves out a listener that the old code served
};

// How a worker has left.
enum class Parting {
  clean,    // by itself, with all that it had done
  forced,   // its listeners were taken away, or it was sent a signal, before it had left
  crashed,  // neither
};

// Something worth telling to the log and to whoever asked for the upgrade that it belongs to.
struct Note {
  NoteKind kind = NoteKind::preparing;
  RequestId request = 0;
  WorkerId worker = 0;  // 0: of no worker
  unsigned slot = 0;
  Generation generation = 0;
  Release release;
  std::string text;
  Time since_spawn{0};
  Parting parting = Parting::clean;  // of `gone`
};

using Command = std::variant<Spawn, Drain, Expire, Signal, Prepare, CancelPrepare, Commit, Flip, Measure,
                             Steer, CloseSlots, Booted, Answer, Quit, Note>;
using Commands = std::vector<Command>;

// How a worker ended. `stage`: how far it had come before liveswap_main was entered (contract/channel.h in
// words).
struct Departure {
  std::string stage;
  std::string text;         // "exit status 3", "killed by SIGSEGV", or what the worker host said of it
  bool clean = false;       // exit status 0
  bool by_sigterm = false;  // by the default action of SIGTERM
  bool drained = false;     // nothing is known to have been open any more
};

}  // namespace liveswap::rollout
