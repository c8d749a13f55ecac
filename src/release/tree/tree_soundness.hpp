#pragma once

#include <string>

#include "release/soundness.hpp"
#include "release/tree/known_files.hpp"

namespace liveswap::release {

// Checks that a stored tree still has the manifest whose SHA-256 is its id: no file is missing, added or
// changed, no permission and no target of a link is another one.
//
// `tree`: its directory in the store. `trusted`: a file that has the stamp that is known there is not read;
// all others are hashed, and added to `learned`. Blocks.
tl::expected<void, Unsound> check_tree(const std::string& tree, const std::string& id,
                                       const KnownFiles& trusted, KnownFiles& learned);

// Moves what an application has written into its release to `stray`/<id>/…, where the user finds it: the
// release is then sound again. Returns what was done, for people; an error: something else differs too.
Result<std::string> move_strays(const std::string& tree, const std::string& id, const std::string& stray);

}  // namespace liveswap::release
