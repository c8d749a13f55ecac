#pragma once

#include <set>
#include <string>

#include "base/error.hpp"
#include "release/copy.hpp"
#include "release/family.hpp"
#include "release/source.hpp"

namespace liveswap::release {

// A release that is being written: a directory `.new-XXXXXX` beside the finished ones. It goes when this
// object goes, unless it has been moved to its place; what a killed process leaves behind is removed by
// Store::keep_only.
class Fresh {
 public:
  // `releases` is the directory of all releases.
  static Result<Fresh> make(const std::string& releases);

  Fresh(Fresh&& other) noexcept
      : path_(std::exchange(other.path_, "")),
        directories_(std::move(other.directories_)),
        way_(other.way_) {}
  Fresh& operator=(Fresh&&) = delete;
  ~Fresh();

  // Copies a file to `name`, which may have directories in front; on the disk, and read-only, when this
  // returns. Hash and needs are those of the copy: whatever happens to the original, they are true of what
  // will run.
  Result<Content> add(const Source& source, const std::string& name);

  // Nothing more will be added: makes the directories readable for the users whom workers run as, and
  // durable.
  Result<void> seal() const;

  // Gives it its place, in one step. False: something is there already, and this one stays.
  Result<bool> move_to(const std::string& place);

  const std::string& path() const { return path_; }
  CopyWay way() const { return way_; }  // of the last file

 private:
  explicit Fresh(std::string path) : path_(std::move(path)) {}

  std::string path_;                   // empty: moved away
  std::set<std::string> directories_;  // those below it, absolute; each before what it holds
  CopyWay way_ = CopyWay::reflink;
};

// Makes the directories in front of `name` in `root`, each 0755, and returns their paths, the outer ones
// first.
Result<std::set<std::string>> make_directories(const std::string& root, const std::string& name);

}  // namespace liveswap::release
