#pragma once

#include <gnu/lib-names.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/needs.hpp"

namespace liveswap::release {

// Directory in a release for libraries from other directories.
inline constexpr const char* needed_directory = ".needed";

// Finds the private libraries of a library: those in no system directory. They are built and replaced
// together with the library, so a release must contain them. Follows the order of the dynamic linker
// (ld.so(8): breadth first, each name once) through DT_NEEDED and RUNPATH, or without RUNPATH, the RPATHs of
// the library and its dependents. A private library is in one of these places:
//
//   beside      reached by $ORIGIN, in or below the directory of the first library: keeps its relative path
//   elsewhere   reached by an absolute path, in no system directory (base/system_libraries.hpp): copied to
//               `.needed/<name>`. Workers have this directory in LD_LIBRARY_PATH, so it is searched first
//   outside     reached by $ORIGIN/.. above the directory of the first library: an error with advice
//
// Not followed: $LIB and $PLATFORM, glibc-hwcaps, the configured environment, an absolute path in DT_NEEDED,
// and dlopen() calls. The trial load reports such libraries (loaded.hpp).
class PrivateLibraries {
 public:
  // `directory`: borrowed, contains the first library; `shown`: its path, for errors.
  PrivateLibraries(int directory, std::string shown) : directory_(directory), shown_(std::move(shown)) {}

  struct Found {
    std::string name;    // in the release
    std::string source;  // absolute path if elsewhere; empty if beside
  };

  // The private libraries that `library` needs and that no earlier call returned, in order. `library`: the
  // name of the first library, or one returned before.
  Result<std::vector<Found>> of(const std::string& library, const Needs& needs);

 private:
  // A directory that the dynamic linker would search.
  struct Place {
    std::string text;  // as written in the library
    std::string path;  // absolute; if by_origin, relative to the first library
    bool by_origin = false;
    bool outside = false;  // above the first library's directory
  };
  using Places = std::vector<Place>;

  static Places places(const std::string& list, const std::string& origin, bool elsewhere);
  Result<std::optional<Found>> find(const std::string& library, const std::string& name,
                                    const Places& where) const;
  Result<std::optional<Found>> look(const std::string& library, const std::string& name,
                                    const Place& place) const;
  std::string origin_of(const std::string& library) const;
  bool exists(const std::string& path) const;

  int directory_;
  std::string shown_;
  // Names and SONAMEs already loaded; the worker host itself loads these two.
  std::set<std::string> known_{LIBC_SO, LD_SO};
  std::map<std::string, Places> inherited_;     // library → RPATHs of its dependents
  std::map<std::string, std::string> sources_;  // name → source, if elsewhere
};

}  // namespace liveswap::release
