#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "release/history.hpp"
#include "release/store.hpp"

namespace liveswap::release {

// Input for find_rollback_target().
struct RollbackQuery {
  std::string which;     // target: empty (the release before `current`), receipt number or id prefix
  std::string current;   // id of the committed release; empty: none
  std::size_t keep = 0;  // an id prefix finds only the newest `keep` releases of the history, and `own`
  std::vector<std::string> own;  // ids committed by the running master, newest first; may lack a receipt
};

// Finds the release for a rollback. If it is one of `own`, the returned path is empty: the master knows the
// path. An error says what was found and where to look. Reads the history: blocks, possibly for seconds.
Result<Committed> find_rollback_target(const History& history, const Store& store,
                                       const RollbackQuery& query);

}  // namespace liveswap::release
