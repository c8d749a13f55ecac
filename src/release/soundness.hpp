#pragma once

#include <string>

#include "base/error.hpp"
#include "release/committed.hpp"
#include "release/source.hpp"
#include "release/store.hpp"

namespace liveswap::release {

// Whether the store still has the bytes that a release was named after. They may have changed: a disk that fails, a tool that
// rewrites libraries, an edit in the wrong place.

// Hashes the files that a worker would load from `directory`: the library `name`, and its private ones. The error names the
// file that differs where that can be told, what was found, and what was expected.
Result<void> check_bytes(const std::string& directory, const std::string& name, const std::string& id);

struct Sound {
  std::string seal;    // of the bytes that were hashed (seal.hpp)
  std::string mended;  // what was wrong, and has been replaced from the file that the release was taken from; empty: nothing
};
// Checks a release, and where it is not sound mends it, as long as its path still has the same content. Reads every byte.
Result<Sound> verify(const Store& store, const Committed& release, const Trust& trust);

}  // namespace liveswap::release
