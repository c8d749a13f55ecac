#pragma once

#include <string>
#include <vector>

#include "check/elf_file.hpp"

namespace liveswap::preflight {

// The libraries that come along with a library: those that the loader finds through $ORIGIN in a RUNPATH or RPATH,
// theirs included. The store copies those that lie in the library's own directory or below; what lies elsewhere
// it cannot keep at the same relative place.
struct PrivateLibraries {
  bool uses_origin = false;          // the library's own RUNPATH or RPATH has $ORIGIN in it
  std::vector<std::string> inside;   // relative to the library's directory
  std::vector<std::string> outside;  // absolute
};

PrivateLibraries private_libraries(const std::string& path, const ElfFile& file);

}  // namespace liveswap::preflight
