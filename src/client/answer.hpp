#pragma once

#include <string>
#include <string_view>

#include "liveswap.hpp"

// What a line from the master says. Pure.
namespace liveswap::client {

enum class LineKind {
  event,    // something on the way to the answer
  answer,   // the command is done, or was not carried out
  foreign,  // who speaks there is no liveswap master
};

LineKind kind_of(std::string_view line);

// The outcome that an answer tells; `line` is one of kind `answer`. On success `text` is what the master has
// to say for people, for `status`, `history` and `receipt` that document, for `message` how many workers took
// it; fewer than all is a failure.
Outcome outcome_of(std::string_view line);

// "failed", "usage", "refused", "reverted", "timed_out": the exit status of that name. `failed` for any other
// word.
Status status_of(std::string_view word);

}  // namespace liveswap::client
