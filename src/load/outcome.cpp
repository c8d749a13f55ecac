#include "load/outcome.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "base/error.hpp"

namespace liveswap::load {
namespace {

Outcome outcome_of(int number) {
  switch (number) {
    case ECONNREFUSED: return Outcome::refused;
    case ECONNRESET:
    case EPIPE: return Outcome::reset;
    case ETIMEDOUT: return Outcome::timed_out;
    default: return Outcome::other;
  }
}

}  // namespace

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok: return "ok";
    case Outcome::refused: return "refused";
    case Outcome::reset: return "reset";
    case Outcome::truncated: return "truncated";
    case Outcome::timed_out: return "timed_out";
    case Outcome::wrong: return "wrong";
    case Outcome::other: return "other";
  }
  return "?";
}

Verdict failure(Outcome outcome, std::string reason) { return {outcome, {}, std::move(reason)}; }

Verdict failure_of_errno(const char* operation, int number) {
  return failure(outcome_of(number), fmt::format("{}: {}", operation, error_text(number)));
}

}  // namespace liveswap::load
