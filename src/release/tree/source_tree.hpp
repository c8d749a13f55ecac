#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "release/source.hpp"
#include "release/tree/beneath.hpp"
#include "release/tree/entry.hpp"
#include "release/tree/ignore_rules.hpp"

namespace liveswap::release {

// A directory that is to become a release. Opened once: a symbolic link like `current` may lead to it, and
// everything below is reached through that descriptor, without following a link.
class SourceTree {
 public:
  // The directory at `path`; nullopt: there is something else, or nothing.
  static std::optional<SourceTree> open(const std::string& path, const Trust& trust);

  // Lists the tree and hashes its files. An error: something is not allowed (listing.hpp), unreadable, open
  // for writing, or has changed meanwhile.
  Result<void> describe();

  // Lists the tree without reading files, except .liveswapignore. An error: something is not allowed.
  Result<void> check();

  // Sorted by path; first the tree itself. Empty before describe().
  const std::vector<TreeEntry>& entries() const { return entries_; }
  // SHA-256 of the manifest.
  std::string id() const;

  // Opens a file of entries(). An error: it is another one by now.
  Result<Source> open_file(const TreeEntry& entry);

  // Lists the tree again. An error: something was changed since describe(), and the bytes read may be a
  // mixture of two versions.
  Result<void> unchanged();

  // The error for something that was found to have changed.
  tl::unexpected<Error> changed_meanwhile(const std::string& object);
  // Whether the last error was that something has changed: trying again may help.
  bool has_changed() const { return changed_; }

  const std::string& path() const { return path_; }

 private:
  SourceTree(UniqueFd fd, std::string path, const Trust& trust)
      : fd_(std::move(fd)), beneath_(fd_.get()), path_(std::move(path)), trust_(trust) {}
  Result<IgnoreRules> read_rules();
  Result<std::vector<TreeEntry>> list();

  UniqueFd fd_;
  Beneath beneath_;
  std::string path_;
  Trust trust_;
  std::vector<TreeEntry> entries_;
  bool changed_ = false;
};

}  // namespace liveswap::release
