#pragma once

#include <string>
#include <vector>

#include "check/elf_file.hpp"

namespace liveswap::checks {

// The private libraries of a library: those that the dynamic linker finds by RUNPATH or RPATH in no system
// directory, and the private libraries of these. An upgrade copies those that $ORIGIN finds in or below the
// library's directory, and those found by an absolute path. It is refused if $ORIGIN finds one above that
// directory, as the copy could not keep its relative place.
struct PrivateLibraries {
  bool uses_origin = false;            // the library's RUNPATH or RPATH contains $ORIGIN
  std::vector<std::string> inside;     // relative to the library's directory
  std::vector<std::string> outside;    // absolute
  std::vector<std::string> elsewhere;  // absolute: by an absolute path, or by $ORIGIN of such a library
  std::vector<std::string> by_rpath;   // those of `elsewhere` found by DT_RPATH, before the store's copy
};

PrivateLibraries private_libraries(const std::string& path, const ElfFile& file);

}  // namespace liveswap::checks
