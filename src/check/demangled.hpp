#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace liveswap::checks {

// Symbol → C++ name: "_Z3fooi" → "foo(int)". Other symbols are missing.
using Names = std::map<std::string, std::string>;

// Demangles C++ symbols. A name of a few hundred bytes can take gigabytes or endless time, so a child process
// does the work, with limits of 64 MiB and 100 ms for each name. Leaves out symbols of C, names too long for
// people, and what is not done within `limit`. Blocks.
Names demangled(const std::vector<std::string>& symbols, std::chrono::milliseconds limit);

// The name in `names`, or the symbol itself.
const std::string& name_of(const std::string& symbol, const Names& names);

}  // namespace liveswap::checks
