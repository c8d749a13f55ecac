#include "release/tree/stored_files.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "release/family.hpp"
#include "release/sha256.hpp"
#include "release/tree/listing.hpp"
#include "release/tree/manifest.hpp"

namespace liveswap::release {

std::string StoredFiles::key(const std::string& hash, unsigned mode, unsigned group) {
  return fmt::format("{} {:o} {}", hash, mode, needs_group(mode) ? group : 0);
}

void StoredFiles::add(const std::string& hash, unsigned mode, unsigned group, const std::string& path) {
  paths_.emplace(key(hash, mode, group), path);
}

void StoredFiles::add_tree(const std::string& directory, const KnownFiles& known) {
  const auto listed = list_stored(directory);
  if (!listed) return;
  for (const auto& entry : *listed) {
    const auto hash = entry.is_file() ? known.hash_of(entry.stamp) : "";
    if (!hash.empty()) add(hash, entry.mode, entry.stamp.group, path_below(directory, entry.path));
  }
}

const std::string* StoredFiles::find(const std::string& hash, unsigned mode, unsigned group) const {
  const auto it = paths_.find(key(hash, mode, group));
  return it == paths_.end() ? nullptr : &it->second;
}

std::vector<std::string> stored_trees(const std::string& releases) {
  namespace fs = std::filesystem;
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::error_code failed;
  for (fs::directory_iterator entry(releases, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string directory = entry->path().string();
    if (!is_id(base_name(directory)) || ::access(manifest_path(directory).c_str(), F_OK) != 0) continue;
    std::error_code none;
    const auto time = fs::last_write_time(directory, none);
    for (fs::directory_iterator tree(directory, none); !none && tree != end; tree.increment(none))
      if (fs::is_directory(tree->symlink_status(none))) found.emplace_back(time, tree->path().string());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> trees;
  for (auto& [time, path] : found) trees.push_back(std::move(path));
  return trees;
}

}  // namespace liveswap::release
