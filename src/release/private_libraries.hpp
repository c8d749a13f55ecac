#pragma once

#include <gnu/lib-names.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/elf.hpp"

namespace liveswap::release {

// The directory of a release in which the libraries are that were found elsewhere.
inline constexpr const char* needed_directory = ".needed";

// What a library needs and the system's own directories do not provide is built and replaced together with
// it, so a snapshot of the one without the other is none. This class finds such libraries: it goes the
// loader's way through one family, in the loader's order (ld.so(8); breadth first, a name is looked for
// once), by DT_NEEDED and the directories of RUNPATH (or, where there is none, of the library's RPATH and
// those of the libraries that led to it). What is found there is one of these:
//
//   beside      $ORIGIN leads to it, in the first library's directory or below: it keeps its place
//   elsewhere   an absolute path leads to it, and it is not the system's (base/system_libraries.hpp): its
//   place in the
//               snapshot is `.needed/<name>`, where the loader is told to look first (LD_LIBRARY_PATH)
//   outside     $ORIGIN/.. leads out of the first library's directory: an error that says what to do
//
// Not followed: $LIB and $PLATFORM, glibc-hwcaps, the configured environment, a DT_NEEDED that is an absolute
// path, and what the code opens by itself with dlopen(). The check of a release tells of those by what was
// loaded.
class PrivateLibraries {
 public:
  // `directory` is borrowed and holds the first library; `shown` is its path.
  PrivateLibraries(int directory, std::string shown) : directory_(directory), shown_(std::move(shown)) {}

  struct Found {
    std::string name;  // in the release
    std::string
        source;  // absolute, where it is elsewhere; else empty: `name` in the first library's directory
  };

  // What `library` needs privately and none before it has needed, in order. `library` is the name of the
  // first one, or one that was returned for an earlier one.
  Result<std::vector<Found>> of(const std::string& library, const Needs& needs);

 private:
  // A directory that the loader would look in.
  struct Place {
    std::string text;  // as the library says it
    std::string
        path;  // absolute; or, when by_origin, relative to the first library's directory and without ".." …
    bool by_origin = false;
    bool outside = false;  // … unless it leads out of it
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
  // Names and SONAMEs that the loader would not look for again; the worker host has loaded these two before.
  std::set<std::string> known_{LIBC_SO, LD_SO};
  std::map<std::string, Places> inherited_;     // by library: the RPATHs of those that led to it
  std::map<std::string, std::string> sources_;  // of those elsewhere, by name
};

}  // namespace liveswap::release
