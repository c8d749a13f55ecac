#pragma once

#include <string>
#include <vector>

#include "check/elf_file.hpp"

namespace liveswap::checks {

// The private libraries of a library: found by RUNPATH or RPATH outside the system directories, with their
// own. The store copies those that $ORIGIN finds in or below the library's directory, and those found by an
// absolute path. Libraries above that directory cannot keep their relative place.
struct PrivateLibraries {
  bool uses_origin = false;            // the library's RUNPATH or RPATH contains $ORIGIN
  std::vector<std::string> inside;     // relative to the library's directory
  std::vector<std::string> outside;    // absolute
  std::vector<std::string> elsewhere;  // absolute: by an absolute path, or by $ORIGIN of such a library
  std::vector<std::string> by_rpath;   // of these: by DT_RPATH, which is searched before the store's copy
};

PrivateLibraries private_libraries(const std::string& path, const ElfFile& file);

}  // namespace liveswap::checks
