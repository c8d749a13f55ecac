#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "release/history.hpp"
#include "release/store.hpp"

namespace liveswap::release {

// Which release a rollback goes to.
struct Wanted {
  std::string
      which;  // nothing: the release before `current`; a number of the history; the first digits of an id
  std::string current;   // the id of the committed release; empty: none
  std::size_t keep = 0;  // how many committed releases may be gone back to without their number
  std::vector<std::string>
      own;  // ids that the running master has committed itself, newest first, whatever the history says
};

// The release: without a path where it is one of `own`, since the master knows the path better. An error says
// what was found and where to look. Reads the history, so it may take seconds.
Result<Committed> find_earlier(const History& history, const Store& store, const Wanted& wanted);

}  // namespace liveswap::release
