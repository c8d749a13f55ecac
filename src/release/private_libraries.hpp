#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/elf.hpp"

namespace liveswap::release {

// A library can find others beside itself: those named in its DT_NEEDED are looked for in the directories of
// its RUNPATH (or, where it has none, of its RPATH and those of the libraries that led to it), and $ORIGIN
// there is the directory in which it lies itself. What it finds so is private to it: it is built and replaced
// together with it, so a snapshot of the one without the other is none.
//
// This class goes the loader's way through one such family, in the loader's order (ld.so(8); breadth first, a
// name is looked for once). Names are relative to the directory of the first library. What is looked for
// outside it by $ORIGIN/.. cannot keep its place in a snapshot, and is an error that says what to do. What no
// $ORIGIN leads to (the system's libraries, an absolute path) stays where it is. Not followed: $LIB and
// $PLATFORM, glibc-hwcaps, the configured environment, and what the code opens by itself with dlopen().
class PrivateLibraries {
 public:
  // `directory` is borrowed and holds the first library; `shown` is its path.
  PrivateLibraries(int directory, std::string shown) : directory_(directory), shown_(std::move(shown)) {}

  // What `library` needs privately and none before it has needed, in order. `library` is the name of the
  // first one, or one that was returned for an earlier one.
  Result<std::vector<std::string>> of(const std::string& library, const Needs& needs);

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

  static Places places(const std::string& list, const std::string& origin);
  Result<std::optional<std::string>> find(const std::string& library, const std::string& name,
                                          const Places& where) const;
  Result<std::optional<std::string>> look(const std::string& library, const std::string& name,
                                          const Place& place) const;
  bool exists(const std::string& path) const;

  int directory_;
  std::string shown_;
  std::set<std::string> known_;              // names and SONAMEs that the loader would not look for again
  std::map<std::string, Places> inherited_;  // by library: the RPATHs of those that led to it
};

}  // namespace liveswap::release
