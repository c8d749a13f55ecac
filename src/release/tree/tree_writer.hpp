#pragma once

#include <string>

#include "release/store.hpp"
#include "release/tree/known_files.hpp"
#include "release/tree/source_tree.hpp"
#include "release/tree/stored_files.hpp"

namespace liveswap::release {

// Writes the copy of a tree. Files whose content and permissions a stored file has become hard links to it;
// others are copied, with their mtime, and read again to compare the hash. Then everything is synced at once:
// one syncfs() takes a tenth of the time of an fsync() for each file.
//
// fs-verity is not used: enabling it syncs each file by itself.
class TreeWriter {
 public:
  // All references must outlive this object. `place`: the directory to make; the one above exists.
  TreeWriter(SourceTree& source, std::string place, StoredFiles& stored, KnownFiles& known)
      : source_(source), place_(std::move(place)), stored_(stored), known_(known) {}

  // An error with of_file: the source has changed; else the disk is full, for example. What was written
  // stays.
  tl::expected<void, Store::Failure> write();

  std::size_t linked() const { return linked_; }
  std::size_t copied() const { return copied_; }

 private:
  using Step = tl::expected<void, Store::Failure>;
  Step make(const TreeEntry& entry);
  Step file(const TreeEntry& entry, const std::string& path);
  bool link(const TreeEntry& entry, const std::string& path);
  Step copy(const TreeEntry& entry, const std::string& path);
  Step finish_directories() const;
  Step sync() const;

  SourceTree& source_;
  std::string place_;
  StoredFiles& stored_;
  KnownFiles& known_;
  std::size_t linked_ = 0, copied_ = 0;
};

}  // namespace liveswap::release
