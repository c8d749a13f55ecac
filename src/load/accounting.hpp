#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "load/histogram.hpp"
#include "load/outcome.hpp"
#include "load/timeline.hpp"

namespace liveswap::load {

// Attempts and what became of them. `attempts` is counted when an attempt begins and the outcomes when it
// ends, so that an attempt that got lost inside the client shows as a difference.
struct Tally {
  std::uint64_t attempts = 0;
  std::uint64_t slow_attempts = 0;  // among the attempts
  std::array<std::uint64_t, outcome_count> outcomes{};
  std::map<std::string, std::uint64_t> versions;  // of the ok ones
  Histogram latency;                              // of the ok ones at the fixed rate
  Histogram slow_latency;                         // of the ok slow ones

  std::uint64_t of(Outcome outcome) const { return outcomes[static_cast<std::size_t>(outcome)]; }
  std::uint64_t ended() const;
  void add(const Tally& other);
  std::uint64_t failures() const { return ended() - of(Outcome::ok); }
};

struct Phase {
  std::string name;
  Time start{};
  Tally tally;
};

// An attempt that failed, for whoever wants to find out why.
struct Failed {
  std::size_t phase = 0;
  Time begun{};  // as intended
  Time ended{};
  std::uint16_t port = 0;
  Outcome outcome = Outcome::other;
  std::string reason;
};

struct Seen {
  std::uint64_t count = 0;
  Time first{};
  Time last{};
};

// The books of a run. Pure: time comes in as a value.
class Accounting {
 public:
  explicit Accounting(Time bucket) : timeline(bucket) { phases.push_back({"run", Time{}, {}}); }

  // A phase from `now` on: attempts with an intended time from then on belong to it.
  void mark(std::string name, Time now) { phases.push_back({std::move(name), now, {}}); }

  // Begins an attempt at `now`; returns its phase, to be handed back when it ends.
  std::size_t begin(Kind kind, Time intended, Time now);

  struct Ended {
    Kind kind;
    std::size_t phase;
    Time intended;
    Time now;
    std::uint16_t port = 0;  // local, of its TCP connection; 0: it had none
  };
  void end(const Ended& attempt, const Verdict& verdict);

  // Nothing when every attempt is in exactly one class, in every sum; otherwise what does not match.
  std::optional<std::string> mismatch() const;

  Tally total;
  std::vector<Phase> phases;
  std::map<std::string, Seen> versions;
  std::map<std::pair<Outcome, std::string>, Seen> reasons;
  // The first ones; the sums above count all.
  static constexpr std::size_t most_failed = 10'000;
  std::vector<Failed> failed;
  Timeline timeline;
  // How long after the intended time the client got round to a request of the fixed rate. When this is high,
  // the client lacked CPU and the latencies are its own.
  Histogram lateness;

 private:
  void enter(Tally& tally, Kind kind, const Verdict& verdict, std::uint64_t latency_us);
};

}  // namespace liveswap::load
