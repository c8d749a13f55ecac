#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

// The commands of liveswap-store (main.cpp).
namespace liveswap::store {

using Words = std::vector<std::string>;

struct Done {
  std::string text;
  bool is_document = false;  // a line of the control protocol, possibly longer than a frame
};
struct Failure : Error {
  bool is_refusal = false;  // caused by the file or the request, not by the disk
};
using Answer = tl::expected<Done, Failure>;

// Whether the words form a valid command.
bool is_usable(const Words& words);

// Carries out a valid command. Blocks on the disk.
Answer carry_out(const Words& words);

}  // namespace liveswap::store
