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

// Counts of attempts and outcomes. Attempts are counted at their start, outcomes at their end, so an attempt
// lost by a bug of this client shows as a difference.
struct Tally {
  std::uint64_t attempts = 0;
  std::uint64_t slow_attempts = 0;  // included in `attempts`
  std::array<std::uint64_t, outcome_count> outcomes{};
  std::map<std::string, std::uint64_t> versions;  // of successful ones
  Histogram latency;                              // of successful ones at the fixed rate
  Histogram slow_latency;                         // of successful slow ones

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

// Details of a failed attempt, for diagnosis.
struct Failed {
  std::size_t phase = 0;
  Time begun{};  // intended time
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

// All results of a run. Pure: time is a parameter.
class Accounting {
 public:
  explicit Accounting(Time bucket) : timeline(bucket) { phases.push_back({"run", Time{}, {}}); }

  // Begins a phase: attempts with an intended time after `now` belong to it.
  void mark(std::string name, Time now) { phases.push_back({std::move(name), now, {}}); }

  // Begins an attempt; returns its phase for end().
  std::size_t begin(Kind kind, Time intended, Time now);

  struct Ended {
    Kind kind;
    std::size_t phase;
    Time intended;
    Time now;
    std::uint16_t port = 0;  // local TCP port; 0: none
  };
  void end(const Ended& attempt, const Verdict& verdict);

  // Checks that every attempt has exactly one outcome in every sum; returns what does not match.
  std::optional<std::string> mismatch() const;

  Tally total;
  std::vector<Phase> phases;
  std::map<std::string, Seen> versions;
  std::map<std::pair<Outcome, std::string>, Seen> reasons;
  // The first ones; the sums above count all.
  static constexpr std::size_t most_failed = 10'000;
  std::vector<Failed> failed;
  Timeline timeline;
  // Delay between the intended and the actual start of requests at the fixed rate. High values mean that the
  // client lacked CPU, and that the latencies are its own.
  Histogram lateness;

 private:
  void enter(Tally& tally, Kind kind, const Verdict& verdict, std::uint64_t latency_us);
};

}  // namespace liveswap::load
