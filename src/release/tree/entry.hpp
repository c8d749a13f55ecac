#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace liveswap::release {

// One version of a file: while its stamp is the same, neither content nor rights have changed, since no
// program can set ctime (`changed`). Times in nanoseconds.
struct Stamp {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::uint32_t mode = 0, user = 0, group = 0;
  std::int64_t modified = 0, changed = 0;
  bool operator==(const Stamp&) const = default;
};
Stamp stamp_of(const struct stat& info);

// A directory, file or symbolic link of a tree.
struct TreeEntry {
  enum class Kind { directory, file, link };

  std::string path;  // relative to the tree; empty: the tree itself
  Kind kind = Kind::file;
  unsigned mode = 0;   // permissions in the store: stored_mode(); 0 for links
  std::string target;  // of a link
  std::string hash;    // SHA-256 of a file's content; empty: not read yet
  Stamp stamp;

  bool is_directory() const { return kind == Kind::directory; }
  bool is_file() const { return kind == Kind::file; }
};

// The permissions of the stored copy: 0444, with x bits 0555; directories 0555. Nobody may write, so that an
// application that writes beside its code gets EACCES instead of changing the release. Users for whom the
// original is not readable cannot read the copy either: 0400 or 0440 (0500, 0550), since trees contain
// passwords and keys. Pure.
unsigned stored_mode(TreeEntry::Kind kind, unsigned mode);

// Whether only the group, but not everybody, may read: the copy then needs the group of the original.
inline bool needs_group(unsigned mode) { return (mode & S_IRGRP) && !(mode & S_IROTH); }

// The path of an entry below `tree`.
inline std::string path_below(const std::string& tree, const std::string& path) {
  return path.empty() ? tree : tree + "/" + path;
}

}  // namespace liveswap::release
