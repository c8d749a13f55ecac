#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

// The commands of liveswap-store (main.cpp) as functions.
namespace liveswap::store {

using Words = std::vector<std::string>;

struct Done {
  std::string text;
  bool is_document = false;  // may be longer than a frame: a line of the control protocol
};
struct Failure : Error {
  bool is_refusal = false;  // the file or the question is at fault, not the disk
};
using Answer = tl::expected<Done, Failure>;

// Whether these are the words of a command.
bool is_usable(const Words& words);

// Blocks for as long as the disk takes. `words` are usable.
Answer carry_out(const Words& words);

}  // namespace liveswap::store
