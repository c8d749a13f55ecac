#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "release/history.hpp"
#include "release/store.hpp"

namespace liveswap::release {

// Input for find_rollback_target().
struct RollbackQuery {
  std::string which;             // target: empty (the release before `current`), receipt number or id prefix
  std::string current;           // id of the committed release; empty: none
  std::size_t keep = 0;          // number of committed releases that need no receipt number
  std::vector<std::string> own;  // ids committed by the running master, newest first; they need no receipt
};

// Finds the release for a rollback. For one of `own`, the path is empty, as the master has it. An error
// says what was found and where to look. Reads the history: blocks, possibly for seconds.
Result<Committed> find_rollback_target(const History& history, const Store& store,
                                       const RollbackQuery& query);

}  // namespace liveswap::release
