#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace liveswap::preflight {

// By symbol: how C++ spells it, "foo(int)" for "_Z3fooi". Symbols that are not in it stay as they are.
using Names = std::map<std::string, std::string>;

// Symbols of C, and those whose names would be too long for a person, are left out. A name of some hundred
// bytes can stand for gigabytes, or keep the demangler busy for ever. So a child of this process does the
// work, in 64 MiB and 100 ms for one name; those that it has not come to at the limit are left out. Blocks.
Names demangled(const std::vector<std::string>& symbols, std::chrono::milliseconds limit);

// What `names` has for the symbol, or the symbol itself.
const std::string& name_of(const std::string& symbol, const Names& names);

}  // namespace liveswap::preflight
