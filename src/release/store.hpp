#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/source.hpp"

namespace liveswap::release {

// The store of releases: immutable snapshots of libraries, from which alone workers load.
//
//   <state_dir>/releases/<id>/libapp.so       0444, in directories 0755
//   <state_dir>/releases/<id>/.needed/        libraries that it needs and that were found elsewhere
//   <state_dir>/releases/.new-XXXXXX/         being written, or left over by a process that was killed
//   <state_dir>/releases/.old-<id>/           being removed
//
// A release has its place or has it not: it is written elsewhere, synced, and renamed. Whatever fails, power
// included, the releases that were there are as they were. Two processes may take at once; who removes has
// the store for itself. All of this may block on the disk for any time: the master leaves it to the program
// liveswap-store.
class Store {
 public:
  // The directory need not exist before the first take(); `state_dir` itself has been made by the master.
  // Workers that run as another user must be able to pass through it.
  explicit Store(std::string state_dir);

  struct Taken {
    std::string id;                              // 64 hex digits; id_of() in family.hpp says of what
    std::string file;                            // file(id, path)
    std::string how;                             // how it was copied, or that it was there; for people
    std::vector<std::string> private_libraries;  // relative to the directory of `file`
    std::string seal;  // of the bytes that were hashed (seal.hpp); empty: somebody has touched them meanwhile
  };

  // Takes the library at `path` (absolute) into the store, with its private ones, or finds it there. A copy
  // in the store that is damaged is replaced; one that workers have loaded stays theirs until they leave. An
  // error says what is wrong with the file or the disk, and with which of them.
  struct Failure : Error {
    bool of_file = false;  // missing, not readable, not to be trusted, changing; not: no room for a copy
  };
  tl::expected<Taken, Failure> take(const std::string& path, const Trust& trust) const;

  // Where a release lies, whether it is there or not. Pure.
  std::string file(const std::string& id, const std::string& path) const;
  std::string directory(const std::string& id) const { return releases_ + "/" + id; }

  // The directory in which the loader has to look first for what the release needs from elsewhere; empty: it
  // needs nothing from there. `file` is one of file().
  static std::string needed(const std::string& file);

  // Whether it is there. Its content is not looked at: verify() in soundness.hpp does that.
  bool has(const std::string& id, const std::string& path) const;

  // The only id in the store that begins with these hex digits, of which there must be 6 or more.
  Result<std::string> complete(const std::string& prefix) const;

  // Removes all other releases, and what killed processes left behind. Refused while one is being taken. The
  // caller sees to it that `ids` has every release that was taken, is loaded, or can be respawned.
  Result<void> keep_only(const std::set<std::string>& ids) const;

 private:
  std::string state_dir_;
  std::string releases_;
};

}  // namespace liveswap::release
