#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string>

namespace liveswap::load {

// Time since the start of the run.
using Time = std::chrono::nanoseconds;

// The result of an attempt. All but `ok` are failures that a client notices.
enum class Outcome {
  ok,         // a complete answer as expected
  refused,    // no listener
  reset,      // connection reset while connecting, sending or reading
  truncated,  // end of file before the complete answer
  timed_out,  // no complete answer in time, from the intended time
  wrong,      // an unexpected answer, or a protocol error
  other,      // others, mostly of this machine (ports, descriptors); see the reason
};

inline constexpr std::size_t outcome_count = 7;
inline constexpr std::array<Outcome, outcome_count> all_outcomes = {
    Outcome::ok,        Outcome::refused, Outcome::reset, Outcome::truncated,
    Outcome::timed_out, Outcome::wrong,   Outcome::other};

// The word for people and JSON.
const char* name_of(Outcome outcome);

// Whether an attempt belongs to the fixed rate or to the slow requests.
enum class Kind { rate, slow };

struct Verdict {
  Outcome outcome = Outcome::ok;
  std::string version;  // if ok
  std::string reason;   // if not ok
};

Verdict failure(Outcome outcome, std::string reason);

// The outcome for an errno value of `operation`: connect, send or read.
Verdict failure_of_errno(const char* operation, int number);

}  // namespace liveswap::load
