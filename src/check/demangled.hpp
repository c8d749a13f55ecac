#pragma once

#include <string>

namespace liveswap::preflight {

// A symbol as C++ spells it: "foo(int)" for "_Z3fooi"; one of C as it is.
std::string demangled(const std::string& symbol);

}  // namespace liveswap::preflight
