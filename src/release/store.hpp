#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/source.hpp"

namespace liveswap::release {

// The store of releases: immutable snapshots of libraries, programs, scripts and directories. Workers run
// only what is here.
//
//   <state_dir>/releases/<id>/libapp.so       0444, in directories 0755
//   <state_dir>/releases/<id>/.needed/        private libraries from other directories
//   <state_dir>/releases/<id>.verity          where its files have fs-verity: their hashes (verity.hpp)
//   <state_dir>/releases/<id>/app/…           a directory: everything in it (tree/tree_store.hpp)
//   <state_dir>/releases/<id>/.manifest       of a directory: what is in it (tree/manifest.hpp)
//   <state_dir>/releases/<id>.runtime         of a script: what it was prepared with (runtime_record.hpp)
//   <state_dir>/releases/.hashes              what is known of files of directories (tree/known_files.hpp)
//   <state_dir>/releases/.new-XXXXXX/         being written, or left by a killed process
//   <state_dir>/releases/.old-<id>/           being removed
//
// A release is written to a temporary directory, synced and renamed, so even a power failure leaves existing
// releases intact. Several processes may call take() at once; removals lock the store exclusively. All
// functions but the pure ones may block on the disk for any time, so the master leaves them to the program
// liveswap-store.
class Store {
 public:
  // `state_dir` exists; the users of workers must have search permission on it. take() makes the store
  // itself.
  explicit Store(std::string state_dir);

  struct Taken {
    std::string id;                              // 64 hex digits; see id_of() in family.hpp
    std::string file;                            // file(id, path)
    std::string how;                             // how it was copied, or that it existed; for people
    std::vector<std::string> private_libraries;  // relative to the directory of `file`
    std::string seal;  // of the hashed content (seal.hpp), or tree_seal; empty: modified meanwhile
  };

  struct Failure : Error {
    bool of_file = false;  // missing, unreadable, not trusted or changing; not: the disk is full
  };
  // Copies the library at the absolute `path` and its private libraries, or the directory there, into the
  // store, unless they are there. Repairs a damaged release; workers that run keep the old files. An error
  // names the file and what is wrong.
  tl::expected<Taken, Failure> take(const std::string& path, const Trust& trust) const;

  // The path of a release, which need not exist. Pure.
  std::string file(const std::string& id, const std::string& path) const;
  std::string directory(const std::string& id) const { return releases_ + "/" + id; }
  // The directory of all releases.
  const std::string& releases() const { return releases_; }
  // Where files go that an application has written into its release.
  std::string stray() const { return state_dir_ + "/stray"; }

  // The directory `.needed` of the release with that `file`; empty: the release has none.
  static std::string needed(const std::string& file);

  // Whether the release exists. Does not check its content; see examine() in soundness.hpp.
  bool has(const std::string& id, const std::string& path) const;

  // The only id in the store with this prefix of at least 6 hex digits.
  Result<std::string> complete(const std::string& prefix) const;

  // Removes all releases but `ids`, and what killed processes left. Fails while a take() runs. `ids` must
  // contain every release that is being prepared, is loaded, or may be started again.
  Result<void> keep_only(const std::set<std::string>& ids) const;

 private:
  std::string state_dir_;
  std::string releases_;
};

}  // namespace liveswap::release
