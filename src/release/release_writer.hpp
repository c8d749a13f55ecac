#pragma once

#include <set>
#include <string>

#include "base/error.hpp"
#include "release/copy.hpp"
#include "release/family.hpp"
#include "release/source.hpp"
#include "release/verity.hpp"

namespace liveswap::release {

// Writes a new release into a temporary directory `.new-XXXXXX` next to the finished ones. The destructor
// removes the directory unless move_to() succeeded; Store::keep_only() removes those of killed processes.
class ReleaseWriter {
 public:
  // `releases`: the directory of all releases.
  static Result<ReleaseWriter> make(const std::string& releases);

  ReleaseWriter(ReleaseWriter&& other) noexcept
      : path_(std::exchange(other.path_, "")),
        directories_(std::move(other.directories_)),
        digests_(std::move(other.digests_)),
        way_(other.way_) {}
  ReleaseWriter& operator=(ReleaseWriter&&) = delete;
  ~ReleaseWriter();

  // Copies a file to `name` (a relative path), gives the copy fs-verity where the file system has it, makes
  // it read-only and syncs it. Hash and needs are read from the copy, so later changes of the original do not
  // matter.
  Result<Content> add(const Source& source, const std::string& name);

  // Call after the last add(): makes the directories readable for the users of workers, and durable.
  Result<void> seal() const;

  // Renames the directory to `place`. False: `place` exists; this directory stays.
  Result<bool> move_to(const std::string& place);

  const std::string& path() const { return path_; }
  CopyWay way() const { return way_; }                      // of the last file
  const KnownDigests& digests() const { return digests_; }  // of the files that have fs-verity

 private:
  explicit ReleaseWriter(std::string path) : path_(std::move(path)) {}

  std::string path_;                   // empty: moved
  std::set<std::string> directories_;  // subdirectories, absolute, parents first
  KnownDigests digests_;
  CopyWay way_ = CopyWay::reflink;
};

// Makes the parent directories of `name` in `root`, mode 0755, and returns their paths, parents first.
Result<std::set<std::string>> make_directories(const std::string& root, const std::string& name);

}  // namespace liveswap::release
