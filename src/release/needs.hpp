#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace liveswap::release {

// The dynamic section's entries about other libraries.
struct Needs {
  std::vector<std::string> needed;  // DT_NEEDED, in order
  std::string soname;               // empty: none
  std::string rpath;                // colon-separated; ignored if there is a runpath
  std::string runpath;
};

// Reads the entries from an untrusted file, within bounds. Borrows the descriptor; the offset stays. Empty:
// not a shared library for this machine, or damaged. Loading the file reports the reason.
std::optional<Needs> read_needs(int fd);
std::optional<Needs> read_needs(const Bytes& bytes);

}  // namespace liveswap::release
