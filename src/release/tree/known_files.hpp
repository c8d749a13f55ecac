#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "release/tree/entry.hpp"

namespace liveswap::release {

// The hashes of files of stored trees, by the stamps that the files had when they were hashed: a file with
// the same stamp has the same content. So a tree of thousands of files is examined by looking at them, and a
// new release finds the files that it can share. Kept in `releases/.hashes`, which is trusted as HEAD is;
// what is lost or does not fit is hashed again.
//
// Files are shared by hard links. Each new and each removed link changes ctime, and with it the stamp of all
// the names. The store renews the stamps of the files that it links itself (renew()).
class KnownFiles {
 public:
  // What cannot be read is not known. `releases`: the directory of all releases.
  static KnownFiles of(const std::string& releases);

  // The SHA-256 of the content; empty: not known.
  std::string hash_of(const Stamp& stamp) const;
  void add(const Stamp& stamp, const std::string& hash);
  // After a link was made or removed: `now` has the content of `before`, if only ctime differs.
  void renew(const Stamp& before, const Stamp& now);
  void forget(const Stamp& stamp);

  // Adds what this object has learned to the file, if it is new. Failures are ignored. Two processes may
  // write at once: one then loses entries, which costs time only.
  void keep_for(const std::string& releases) const;

  // One line for each file: hash, device:inode, size, mtime, ctime. Lines of another form are left out. Pure.
  static KnownFiles parse(std::string_view text);
  std::string text() const;

 private:
  struct Known {
    std::uint64_t size = 0;
    std::int64_t modified = 0, changed = 0;
    std::string hash;  // empty: forgotten
    bool operator==(const Known&) const = default;
  };
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // device, inode

  static Known known(const Stamp& stamp, const std::string& hash);

  std::map<Key, Known> files_;
  std::map<Key, Known> news_;  // since of()
};

}  // namespace liveswap::release
