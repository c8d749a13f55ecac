#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "liveswap.hpp"

// The types of the rollout engine: settings, events and commands. Plain values, without descriptors,
// processes or clocks.
namespace liveswap::rollout {

using Time = std::chrono::milliseconds;  // on any monotonic clock
using WorkerId = std::uint64_t;          // assigned by the engine, never reused
using Generation = std::uint64_t;
// The settings of a worker's process. The caller numbers and keeps them; 0 are those of the start.
using Profile = unsigned;
using RequestId = std::uint64_t;  // assigned by the caller, names the Answer's receiver; 0: none

// What is rolled out: the path as requested, and the SHA-256 of the file found there.
struct Release {
  std::string path;
  std::string id;
  bool operator==(const Release&) const = default;
};

struct Pace {
  std::optional<unsigned>
      batch;  // slots that have their turn at the same time; nullopt: Engine::may_begin_turn
  Amount surge{100, true};
  Amount canary;      // slots that get the release first; 0: no canary
  Time bake{30'000};  // pause before the other slots follow
  Time probation{0};
  bool flip = false;  // all successors ready, then all connections at once; excludes a canary
};

// The inherited Pace is the default of upgrades.
// How often hung workers are replaced (ReplacementLimits).
struct ReplacementPace {
  Time window{60'000};      // in which as many are replaced as there are slots
  Time first_pause{5'000};  // in one slot, between the first replacement in a row and the second
  Time longest_pause{60'000};
  Time row_ends_after{300'000};  // without a replacement in the slot
};

struct Settings : Pace {
  unsigned forks = 2;
  unsigned processors = 1;  // that this machine has for the workers
  bool zero_downtime = true;
  Amount max_draining{800, true};  // workers that may drain at once; at least `forks` are allowed
  bool health = false;             // probes are configured: commit only after a good one
  unsigned liveness_failures = 0;  // a worker hangs after so many unanswered checks in a row; 0: never
  // A worker that has never answered may be one that cannot be asked. Its worker host finds that out within 2
  // s (worker/takeover/adopted_connections.c), so a silence shorter than this does not count.
  Time first_answer{3'000};
  ReplacementPace replacement;
  std::uint64_t max_memory = 0;  // bytes of all workers together during an upgrade; 0: no limit

  Time settle{100};
  Time ready_limit{30'000};
  std::optional<Time> drain_limit{60'000};
  Time term_grace{2'000};
  Time prepare_limit{360'000};  // last resort: the preparation has shorter limits of its own
  Time unsteer{0};  // how long a slot to be removed serves on, for connections already queued for it

  Time backoff_min{100};
  Time backoff_max{30'000};
  Time backoff_reset{10'000};
  std::uint32_t seed = 1;  // of the respawn jitter
};

// A worker's life: starting → ready → draining → gone. The engine sets `ready` when the worker says so or
// its settle time has passed; `draining` when a successor is ready, an upgrade reverts or the master stops.
// `gone` is no state: the record is erased when the process has been reaped.
enum class WorkerState {
  starting,  // spawned; may accept already, but is not counted on
  ready,     // serves its slot
  draining,  // finishes its connections; force begins at its drain limit
};

// The steps of force, `term_grace` apart.
enum class DrainStep {
  asked,
  revoked,  // its listeners are revoked
  termed,   // SIGTERM
  killed,   // SIGKILL
};

// What a starting worker has not done yet, for its failure message: "it did not yet wait on …".
struct Awaits {
  std::string text;        // empty: nothing
  std::string advice;      // what to do if the ready limit passes
  bool only_time = false;  // only the settle time is left
};

struct UpgradeRequest {
  std::string path;                // empty: the committed release's path
  std::optional<Release> release;  // from the store, already checked: no preparation
  // Settings for the new generation; nullopt: those of the committed one.
  std::optional<Profile> profile = std::nullopt;
  Pace pace;
  bool queue = false;     // wait for the current upgrade; a newer queued request replaces this one
  std::string remark;     // for `started` and the answer; may be empty
  bool overtake = false;  // a rollback: ends the current upgrade, and waits for no draining worker
};

// A round of health probes.
struct Probe {
  unsigned made = 0;
  unsigned failed = 0;
  std::string text;  // of the first failure
};

// What the liveness checks of a worker have found.
struct Liveness {
  bool has_answered = false;
  unsigned unanswered = 0;           // in a row, up to the last
  std::optional<Time> silent_since;  // when the first of these was reported
  std::string text;                  // why the last was not answered, for people
  bool is_hung = false;
};

// Requests that a worker has counted since its start (liveswap_served).
struct Served {
  std::uint64_t requests = 0;  // those that failed included
  std::uint64_t failed = 0;
};

// Commands. The master carries them out in order; outcomes come back as events.

struct Spawn {  // → worker events; exited() at once if it cannot be spawned
  WorkerId worker;
  unsigned slot;
  Generation generation;
  Release release;
  bool staged;  // its sockets get no connection before the Flip
  Profile profile = 0;
};
struct Drain {
  WorkerId worker;
  std::optional<Time> limit;
};
struct Revoke {  // the first step of force: its listeners are revoked
  WorkerId worker;
};
struct Signal {
  WorkerId worker;
  bool kill;  // SIGKILL, else SIGTERM
};
struct Prepare {  // run the plugin, store the file, check it → prepared(), prepare_failed() or unfit()
  RequestId request;
  std::string path;  // empty: the committed release's path
};
struct CancelPrepare {};  // took too long, or the master stops: no outcome is expected
struct Commit {           // write HEAD → committed() or commit_failed(), before any other event
  Release release;
};
struct Flip {  // new connections go to the staged sockets → flipped(), once the old accept queues are empty
};
struct Measure {};  // memory of every worker → measured()
struct Steer {      // new connections go to slots below this number only
  unsigned slots;
};
struct CloseSlots {  // slots from this number on are no longer served
  unsigned slots;
};
struct Booted {};  // every slot serves for the first time

enum class Verdict {
  ok,
  failed,
  refused,
  reverted,
  timed_out,
  unreachable,  // done, but clients cannot find a Unix socket's file
  cut,          // done, but connections of processes that an old worker had started were cut
};

// Files of Unix listeners, in words.
struct FileNews {
  std::vector<std::string> mended;  // recreated since the last report
  std::vector<std::string> lost;    // missing now
};

struct Answer {
  RequestId request;
  Verdict verdict;
  std::string text;  // for people
};

struct Quit {  // every worker has exited
  bool ok;
  std::string text;
};

enum class NoteKind {  // one for each event of docs/reference/control-protocol.md
  preparing,
  started,
  spawned,
  ready,
  draining,
  forced,
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
  leaving,    // decided: the replaced workers leave
  dropped,    // the new code leaves out a listener that the old code served
  silent,     // the worker has left a liveness check unanswered, the first in a row
  answering,  // it answers again
  hung,       // it counts as hung
  stopped,    // the worker's process was stopped by a signal (SIGSTOP)
  continued,  // it runs again
};

// How a worker ended.
enum class Parting {
  clean,    // by itself, nothing cut off
  forced,   // its listeners were revoked, or it was signalled, first
  crashed,  // neither
};

// An event for the log and for the requester of the upgrade.
struct Note {
  NoteKind kind = NoteKind::preparing;
  RequestId request = 0;
  WorkerId worker = 0;  // 0: of no worker
  unsigned slot = 0;
  Generation generation = 0;
  Release release;
  std::string text;
  Time since_spawn{0};
  Parting parting = Parting::clean;  // for `gone`
};

using Command = std::variant<Spawn, Drain, Revoke, Signal, Prepare, CancelPrepare, Commit, Flip, Measure,
                             Steer, CloseSlots, Booted, Answer, Quit, Note>;
using Commands = std::vector<Command>;

// How a worker's process ended. `stage`: the last stage before liveswap_main was entered
// (contract/channel.h).
struct Departure {
  std::string stage;
  std::string text;             // "exit status 3", "killed by SIGSEGV", or the worker host's message
  bool clean = false;           // exit status 0
  bool by_sigterm = false;      // by the default action of SIGTERM
  bool drained = false;         // no connection is known to have been open
  std::uint64_t elsewhere = 0;  // open connections of processes that the application had started
};

}  // namespace liveswap::rollout
