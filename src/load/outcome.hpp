#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string>

namespace liveswap::load {

// Time since the start of the run.
using Time = std::chrono::nanoseconds;

// What became of one attempt: exactly one of these. Everything but `ok` is a failure that a client notices.
enum class Outcome {
  ok,         // a complete answer that is what was expected
  refused,    // nobody listened
  reset,      // the connection was aborted, while connecting, sending or reading
  truncated,  // an end of file before the complete answer, also before its first byte
  timed_out,  // no complete answer in time, counted from the intended time
  wrong,      // a complete answer, but not an expected one, or no answer in this protocol at all
  other,  // anything else, most likely an error of this machine (ports, descriptors); the reason says which
};

inline constexpr std::size_t outcome_count = 7;
inline constexpr std::array<Outcome, outcome_count> all_outcomes = {
    Outcome::ok,        Outcome::refused, Outcome::reset, Outcome::truncated,
    Outcome::timed_out, Outcome::wrong,   Outcome::other};

// The word for people and JSON.
const char* name_of(Outcome outcome);

// An attempt belongs to the fixed rate, or to the slow requests that are kept in flight beside it.
enum class Kind { rate, slow };

struct Verdict {
  Outcome outcome = Outcome::ok;
  std::string version;  // when ok
  std::string reason;   // when not
};

Verdict failure(Outcome outcome, std::string reason);

// The failure of a system call on a connection: `operation` is connect, send or read.
Verdict failure_of_errno(const char* operation, int number);

}  // namespace liveswap::load
