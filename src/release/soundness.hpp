#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/committed.hpp"
#include "release/source.hpp"
#include "release/store.hpp"

namespace liveswap::release {

// Checks that the content of a release in the store still matches its id. A failing disk, a tool that
// rewrites libraries, or an edit may have changed the files.

// Why a release is not sound.
struct Unsound : Error {
  bool differs = true;  // false: the content could not be checked now (for example, too many open files)
};

// Hashes the files that a worker would load from `directory`: library `name` and its private libraries. The
// error names the differing file if known, and what was found and expected.
tl::expected<void, Unsound> check_bytes(const std::string& directory, const std::string& name,
                                        const std::string& id);

// All files below `directory`, relative, at most 1,000; without removed files that NFS keeps.
tl::expected<std::vector<std::string>, Unsound> names_below(const std::string& directory);

// How much of a directory's release examine() reads. Of a library it always reads all.
enum class Hashing {
  all,
  changed,  // files that have changed since they were hashed, by their stamps (tree/known_files.hpp)
};

struct Sound {
  std::string seal;    // seal of the hashed content (seal.hpp); empty: not available
  std::string mended;  // what was wrong and has been replaced from the original file; empty: nothing
};
// Examines a release: hashes its files, and mends a damaged one if the file or directory at its path still
// has the same content. Files that an application has added to its directory are moved away (Store::stray()).
// Reads the files up to three times if they change meanwhile. Blocks.
tl::expected<Sound, Unsound> examine(const Store& store, const Committed& release, const Trust& trust,
                                     Hashing hashing = Hashing::all);

}  // namespace liveswap::release
