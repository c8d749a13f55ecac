#pragma once

#include <map>
#include <string>
#include <vector>

#include "release/tree/entry.hpp"
#include "release/tree/known_files.hpp"

namespace liveswap::release {

// Files in the store to which a new release can make hard links instead of copies: same content, same
// permissions. The content is known by the file's stamp (known_files.hpp), without reading it.
class StoredFiles {
 public:
  // Adds the files of a stored tree whose content is known. A tree that cannot be listed adds nothing.
  void add_tree(const std::string& directory, const KnownFiles& known);
  // `path`: absolute; `mode`, `group`: of the file.
  void add(const std::string& hash, unsigned mode, unsigned group, const std::string& path);

  // A file with that content and these permissions; null: none.
  const std::string* find(const std::string& hash, unsigned mode, unsigned group) const;

 private:
  static std::string key(const std::string& hash, unsigned mode, unsigned group);
  std::map<std::string, std::string> paths_;
};

// The directories of trees in the store, newest release first.
std::vector<std::string> stored_trees(const std::string& releases);

}  // namespace liveswap::release
