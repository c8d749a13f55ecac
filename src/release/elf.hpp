#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace liveswap::release {

// What the dynamic section of a library says about other libraries.
struct Needs {
  std::vector<std::string> needed;  // DT_NEEDED, in their order
  std::string soname;               // empty: none
  std::string rpath;                // colon-separated; the loader ignores it where there is a runpath
  std::string runpath;
};

// Reads them from a file (borrowed, offset stays) that may be hostile: nothing in it is believed without a
// bound. Nothing: it is no library of this machine's kind, or damaged. That is no error here; loading it says
// what is wrong.
std::optional<Needs> read_needs(int fd);
std::optional<Needs> read_needs(const Bytes& bytes);

}  // namespace liveswap::release
