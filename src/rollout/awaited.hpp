#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// Which listeners a worker has to wait on before it is ready.
//
// Connections to a listener that a predecessor served and its successor does not would be lost. So what ready
// workers wait on is noted, and a new worker is ready once it waits on everything that
//
//   a worker of the same release has served in its slot: code that comes back (a respawn, a revert, a
//   rollback) serves what it served before; where no such worker is known, the last ready worker of its slot
//   has served, of whatever release; in a slot that is new, every other slot serves; where nothing is known
//   (the first start), every listener that it was lent, where it has bound none itself; else any one
//   listener, when it has come to no further one for the settle time.
//
// A listener that is *replaced* by another one need not be waited on. One that new code leaves out is
// *dropped*: when the worker waits on another one, has never bound this one, and has come to no further
// listener for `drop_after`. The other slots of that generation do not wait for it again. One that was bound
// and is not waited on is never dropped.
class AwaitedListeners {
 public:
  struct Limits {
    Time settle{100};
    Time drop_after{10'000};
  };
  explicit AwaitedListeners(const Limits& limits) : limits_(limits) {}

  struct Place {
    unsigned slot = 0;
    Generation generation = 0;
    std::string release;
  };
  // By what tells a listener from others, for as long as the master runs: what people call it.
  using Listeners = std::map<std::string, std::string>;

  // Every slot has been served once: a slot that comes from now on is new beside others. At the first start
  // they only come one after the other, and may serve listeners of their own.
  void started() { is_started_ = true; }

  // The ready worker in that place waits on these now. What it does not wait on any more counts for a moment
  // yet: a worker that is about to end closes its listeners first.
  void serves(Time now, const Place& place, const Listeners& listeners);

  struct Duty {
    Listeners listeners;        // empty: nothing is known, any one will do
    Generation generation = 0;  // that served them last
  };
  Duty duty_of(const Place& place) const;

  // What a worker that is not ready has done.
  struct Progress {
    Listeners waits;                 // it waits on these
    bool waits_elsewhere = false;    // also on one that is its own, and not the master's
    std::set<std::string> bound;     // it has bound these, or was lent them
    std::set<std::string> replaced;  // it waits on others, beside which no process can have these
    bool all_lent = false;           // it was lent listeners, waits on all of them, and has bound none itself
    bool any = false;                // it is expected to wait on some listener, whatever the duty
    Time settled{0};                 // before then it does not take over from a predecessor
    Time since{0};                   // when it has bound, or come to wait on, one more
  };
  struct Outlook {
    bool ready = false;
    std::vector<std::string> dropped;  // said once a generation
    std::optional<Time> next;          // when time alone will change it
    Awaits awaits;                     // for people; empty when nothing is awaited
  };
  Outlook look(Time now, const Place& place, const Progress& progress);

 private:
  struct Record {
    Place place;
    Listeners listeners;
    std::map<std::string, Time> left;  // since when it does not wait on them any more
  };
  const Record* find(unsigned slot, const std::string& release) const;
  const Record* find_latest(unsigned slot) const;
  Listeners of_every_slot(Generation& generation) const;
  bool is_dropped(const Place& place, const Duty& duty, const std::string& key) const;
  void drop(Generation generation, const std::string& key);

  Limits limits_;
  bool is_started_ = false;
  std::deque<Record> records_;  // one a slot and release; what was updated last stands last
  std::map<Generation, std::set<std::string>> dropped_;
};

}  // namespace liveswap::rollout
