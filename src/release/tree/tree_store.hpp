#pragma once

#include <set>
#include <string>

#include "release/store.hpp"
#include "release/tree/source_tree.hpp"

namespace liveswap::release {

// Directories as releases, in the store `releases`. The caller holds the store's lock (Store).

// Takes a directory into the store, unless it is there: lists and hashes it, writes the copy beside the
// finished releases, checks that the original has not changed meanwhile, and moves the copy to its place.
// Tries again if something changes, three times at most. A damaged copy is replaced as a whole.
tl::expected<Store::Taken, Store::Failure> take_tree(const std::string& releases, SourceTree source);

// The id that take_tree() would give it. Copies nothing.
Result<std::string> identify_tree(SourceTree source);

// Whether the release's `file` (Store::file()) is a directory, or should be.
bool is_tree(const std::string& file);

// Removes the directories of releases, and renews what is known of the files that other releases share with
// them. `names`: in `releases`. The error is that of the first that could not be removed.
Result<void> remove_releases(const std::string& releases, const std::set<std::string>& names);

}  // namespace liveswap::release
