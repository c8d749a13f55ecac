#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// The words of the rollout engine: settings, and the commands that it gives. All of it is values; nothing here
// knows of descriptors, processes or clocks.
namespace liveswap::rollout {

using Time = std::chrono::milliseconds;  // since any fixed moment, on a clock that never goes back
using WorkerId = std::uint64_t;          // given by the engine, never used twice
using Generation = std::uint64_t;
using RequestId = std::uint64_t;  // given by the caller; whom an answer is for. 0: nobody waits for it

struct Surge {
  unsigned value = 100;
  bool percent = true;
};

struct Settings {
  unsigned forks = 2;
  unsigned batch = 1;
  Surge surge;
  bool zero_downtime = true;

  Time settle{100};
  Time ready_limit{30'000};
  std::optional<Time> drain_limit{60'000};
  Time term_grace{2'000};
  Time hook_limit{300'000};
  Time probation{0};
  Time unsteer{0};  // how long a slot that shall vanish still serves what the kernel has already given to it

  Time backoff_min{100};
  Time backoff_max{30'000};
  Time backoff_reset{10'000};
  std::uint32_t seed = 1;  // of the jitter
};

// A worker's life: starting → ready → draining → gone. The engine moves it: to `ready` when the worker says so or has
// survived its settle time; to `draining` from either, when a successor is ready, an upgrade reverts, or the master
// stops. `gone` is not a state but the end: the record is dropped the moment the process has been reaped.
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

// What the engine wants done. Commands are carried out in their order; an outcome comes back as an event.

struct Spawn {  // → worker events; or exited() at once when it cannot be spawned
  WorkerId worker;
  unsigned slot;
  Generation generation;
  std::string release;
};
struct Drain {
  WorkerId worker;
  std::optional<Time> limit;
};
struct Expire {
  WorkerId worker;
};
struct Signal {
  WorkerId worker;
  bool kill;  // SIGKILL, else SIGTERM
};
struct Prepare {  // run the hook, check the file → prepared() or prepare_failed()
  RequestId request;
  std::string path;
};
struct CancelPrepare {};  // it has taken too long, or the master stops: no event is awaited any more
struct Commit {           // write HEAD → committed() or commit_failed(), before any other event
  std::string release;
};
struct Steer {  // new connections only to slots below this number
  unsigned slots;
};
struct CloseSlots {  // nobody serves the slots from this number on any more
  unsigned slots;
};
struct Booted {};  // every slot serves for the first time

enum class Verdict { ok, failed, refused, reverted, timed_out };

struct Answer {
  RequestId request;
  Verdict verdict;
  std::string text;  // for people
};

struct Quit {  // every worker has gone
  bool ok;
  std::string text;
};

enum class NoteKind {  // one for each event of docs/protocol.md
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
};

// Something worth telling to the log and to whoever asked for the upgrade that it belongs to.
struct Note {
  NoteKind kind = NoteKind::preparing;
  RequestId request = 0;
  WorkerId worker = 0;  // 0: of no worker
  unsigned slot = 0;
  Generation generation = 0;
  std::string release;
  std::string text;
  Time since_spawn{0};
};

using Command = std::variant<Spawn, Drain, Expire, Signal, Prepare, CancelPrepare, Commit, Steer, CloseSlots, Booted,
                             Answer, Quit, Note>;
using Commands = std::vector<Command>;

// How a worker ended. `stage`: how far it had come before liveswap_main was entered (contract/channel.h in words).
struct Departure {
  std::string stage;
  std::string text;    // "exit status 3", "killed by SIGSEGV", or what the worker host said of it
  bool clean = false;  // exit status 0
};

}  // namespace liveswap::rollout
