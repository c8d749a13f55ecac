#pragma once

#include <string>
#include <string_view>

#include "liveswap.hpp"

// Interprets lines from a master. Pure.
namespace liveswap::client {

enum class LineKind {
  event,    // sent before the answer
  answer,   // the result of the command
  foreign,  // not from a liveswap master
};

LineKind kind_of(std::string_view line);

// The outcome in a line of kind `answer`. On success `text` is the master's text for people; for `status`,
// `history` and `receipt` that document; for `message` the number of workers that took it, with the status
// `failed` unless all did.
Outcome outcome_of(std::string_view line);

// "failed", "usage", "refused", "reverted", "timed_out": the status of that name; `failed` for any other
// word.
Status status_of(std::string_view word);

}  // namespace liveswap::client
