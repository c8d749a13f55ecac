#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/committed.hpp"
#include "release/source.hpp"
#include "release/store.hpp"

namespace liveswap::release {

// Whether the store still has the bytes that a release was named after. They may have changed: a disk that
// fails, a tool that rewrites libraries, an edit in the wrong place.

// Why a release was not found sound.
struct Unsound : Error {
  bool differs = true;  // false: its bytes could not be looked at now (too many open files, say), which says
                        // nothing of them
};

// Hashes the files that a worker would load from `directory`: the library `name`, and its private ones. The
// error names the file that differs where that can be told, what was found, and what was expected.
tl::expected<void, Unsound> check_bytes(const std::string& directory, const std::string& name,
                                        const std::string& id);

// All files below `directory`, at most 1,000, by name and relative to it; without what a network file system
// keeps there of removed files.
tl::expected<std::vector<std::string>, Unsound> names_below(const std::string& directory);

struct Sound {
  std::string seal;    // of the bytes that were hashed (seal.hpp); empty: it could not be taken
  std::string mended;  // what was wrong, and has been replaced from the file that the release was taken from;
                       // empty: nothing
};
// Checks a release, and where it is not sound mends it, as long as its path still has the same content. Reads
// every byte, up to three times where somebody writes meanwhile.
tl::expected<Sound, Unsound> verify(const Store& store, const Committed& release, const Trust& trust);

}  // namespace liveswap::release
