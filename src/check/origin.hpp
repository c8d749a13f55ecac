#pragma once

#include <string>
#include <vector>

#include "check/elf_file.hpp"

namespace liveswap::preflight {

// The libraries that come along with a library: those that the loader finds by a RUNPATH or RPATH and that
// are not the system's, theirs included. The store copies those that $ORIGIN finds in the library's own
// directory or below, and those that an absolute path finds; what $ORIGIN finds outside of its own directory
// it cannot keep at the same relative place.
struct PrivateLibraries {
  bool uses_origin = false;            // the library's own RUNPATH or RPATH has $ORIGIN in it
  std::vector<std::string> inside;     // relative to the library's directory
  std::vector<std::string> outside;    // absolute
  std::vector<std::string> elsewhere;  // absolute: by an absolute path, or by $ORIGIN of one of these
  std::vector<std::string>
      by_rpath;  // of these: by DT_RPATH, in which the loader looks before the store's copy
};

PrivateLibraries private_libraries(const std::string& path, const ElfFile& file);

}  // namespace liveswap::preflight
