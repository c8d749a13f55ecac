#include "check/demangled.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace liveswap::preflight {

std::string demangled(const std::string& symbol) {
  // Anything else would be read as a type: "i" as int.
  if (symbol.rfind("_Z", 0) != 0) return symbol;
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 && name ? name.get() : symbol;
}

}  // namespace liveswap::preflight
