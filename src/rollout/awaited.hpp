#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// Decides when a starting worker is ready, from the listeners that the worker waits on (accepts or receives
// from).
//
// A listener that the predecessor served and the successor does not would lose connections. So the
// listeners that ready workers wait on are recorded, and a new worker is ready once waiting on all of
// these:
//   1. those that a worker of the same release last served in the slot (respawn, revert, rollback);
//   2. else those that the slot's last ready worker served, of any release;
//   3. else, in a slot added later, those that all other slots serve;
//   4. else (first start) the lent listeners, unless the worker has bound others;
//   5. else any one listener, after adding no further one for the settle time.
//
// A listener that another one replaces need not be waited on. A listener that new code leaves out is
// dropped if the worker waits on another one, has never bound this one, and has added no further one for
// `drop_after`. The other slots of that generation then do not wait for it. A listener that was bound but
// is not waited on is never dropped.
class AwaitedListeners {
 public:
  struct Limits {
    Time settle{100};
    Time drop_after{10'000};
  };
  explicit AwaitedListeners(const Limits& limits) : limits_(limits) {}

  // Other limits from now on.
  void set_limits(const Limits& limits) { limits_ = limits; }

  struct Place {
    unsigned slot = 0;
    Generation generation = 0;
    std::string release;
  };
  // Key (unique while the master runs) → name for people.
  using Listeners = std::map<std::string, std::string>;

  // Call once all slots have been served. Slots added later must serve what the others serve; during the
  // first start each slot may still serve listeners of its own.
  void started() { is_started_ = true; }

  // Records what the ready worker in `place` waits on. A listener that is missing still counts for a
  // moment, because a worker that is about to end closes listeners first: true, as long as there is one; call
  // again until it is false, and after each change.
  bool serves(Time now, const Place& place, const Listeners& listeners);

  // Nobody needs to wait on this listener any more: it is closed.
  void forget(const std::string& key);

  struct Duty {
    Listeners listeners;        // empty: unknown, any listener will do
    Generation generation = 0;  // the last that served them
  };
  Duty duty_of(const Place& place) const;

  // What a worker that is not ready yet has done.
  struct Progress {
    Listeners waits;
    bool waits_elsewhere = false;    // also on a listener that the master does not hold
    std::set<std::string> bound;     // bound by the worker, or lent
    std::set<std::string> replaced;  // listeners that cannot exist beside one that the worker waits on, and
                                     // those that are lent to other workers only
    bool all_lent = false;           // some are lent, the worker waits on all of these and has bound none
    bool any = false;                // must wait on some listener, even if none is known
    Time settled{0};                 // the end of the settle time: not ready before then
    Time since{0};                   // when the worker last bound, or began to wait on, a listener
  };
  struct Outlook {
    bool ready = false;
    std::vector<std::string> dropped;  // newly dropped; reported once a generation
    std::optional<Time> next;          // when to call look() again if nothing happens
    Awaits awaits;                     // for people; empty: nothing
  };
  Outlook look(Time now, const Place& place, const Progress& progress);

  // The same memory with other limits.
  AwaitedListeners with(const Limits& limits) const {
    AwaitedListeners copy = *this;
    copy.limits_ = limits;
    return copy;
  }
  // The memory as values (master/state/archive.hpp).
  template <class Archive>
  void describe(Archive& a) {
    auto all = all_records();
    a("started", is_started_)("records", all)("dropped", dropped_);
    set_records(std::move(all));
  }

 private:
  struct Record {
    Place place;
    Listeners listeners;
    std::map<std::string, Time> left;  // no longer waited on, since when
    template <class Archive>
    void describe(Archive& a) {
      a("place", place)("listeners", listeners)("left", left);
    }
  };
  std::vector<Record> all_records() const;
  void set_records(std::vector<Record> records);
  const Record* find(const Place& place) const;
  Listeners of_every_slot(Generation& generation) const;
  bool is_dropped(const Place& place, const Duty& duty, const std::string& key) const;
  void drop(Generation generation, const std::string& key);

  Limits limits_;
  bool is_started_ = false;
  // For each slot, one for each of its last releases; the last updated is last. None is empty.
  std::map<unsigned, std::vector<Record>> records_;
  std::map<Generation, std::set<std::string>> dropped_;
};

}  // namespace liveswap::rollout
