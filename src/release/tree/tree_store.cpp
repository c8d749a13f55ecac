#include "release/tree/tree_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/remove_tree.hpp"
#include "release/disk.hpp"
#include "release/family.hpp"
#include "release/release_writer.hpp"
#include "release/seal.hpp"
#include "release/sha256.hpp"
#include "release/tree/known_files.hpp"
#include "release/tree/listing.hpp"
#include "release/tree/manifest.hpp"
#include "release/tree/stored_files.hpp"
#include "release/tree/tree_soundness.hpp"
#include "release/tree/tree_writer.hpp"

namespace liveswap::release {
namespace {

using Taken = tl::expected<Store::Taken, Store::Failure>;
using Placed = tl::expected<std::string, Store::Failure>;  // how, for people

constexpr int take_attempts = 3;
constexpr int pause_ms = 100;
// Trees that a new one may share files with: the release before, and the one to which it was rolled back.
constexpr std::size_t shared_trees = 2;

tl::unexpected<Store::Failure> tree_failure(const std::string& path, const Store::Failure& failure) {
  const bool named = failure.text.find(path) != std::string::npos;
  return tl::unexpected<Store::Failure>(Store::Failure{
      {named ? failure.text : "cannot take " + path + " into the release store: " + failure.text},
      failure.of_file});
}

tl::unexpected<Store::Failure> disk_failure(const Error& error) {
  return tl::unexpected<Store::Failure>(Store::Failure{error, false});
}

// Exchanges two directories, so that there is a whole one at each moment. Without the system call (an old
// file system) by two renames.
Result<void> exchange(const std::string& fresh, const std::string& place) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return {};
  const std::string old = fresh + ".damaged";
  if (::rename(place.c_str(), old.c_str()) != 0 || ::rename(fresh.c_str(), place.c_str()) != 0)
    return disk_fail("replace", place, errno);
  return {};
}

// The release exists: adds this tree under its name, or replaces a damaged one.
Placed settle_tree(const std::string& place, const std::string& fresh, const TreeEntry& top) {
  struct stat info {};
  const bool is_there = ::lstat(place.c_str(), &info) == 0;
  // Only who may write to a directory can give it another parent.
  for (const auto& path : {fresh, place}) ::chmod(path.c_str(), top.mode | S_IWUSR);
  if (!is_there && ::rename(fresh.c_str(), place.c_str()) != 0)
    return disk_failure(disk_fail("move the new release to", place, errno).value());
  if (is_there)
    if (auto exchanged = exchange(fresh, place); !exchanged) return disk_failure(exchanged.error());
  if (::chmod(place.c_str(), top.mode) != 0)
    return disk_failure(disk_fail("set the mode of", place, errno).value());
  if (auto synced = sync_directory(directory_above(place)); !synced) return disk_failure(synced.error());
  if (!is_there) return "";
  log::warning("the release store had a damaged copy of {}: replaced", place);
  return ", in place of a damaged copy";
}

std::string how_written(const TreeWriter& writer) {
  const auto all = writer.copied() + writer.linked();
  return fmt::format("{} of {} files copied, {} as hard links", writer.copied(), all, writer.linked());
}

// Those of this release first: the same content under another name.
std::vector<std::string> trees_to_share(const std::string& releases, const std::string& directory) {
  auto trees = stored_trees(releases);
  std::stable_partition(trees.begin(), trees.end(),
                        [&](const auto& tree) { return directory_above(tree) == directory; });
  if (trees.size() > shared_trees) trees.resize(shared_trees);
  return trees;
}

// Writes the copy and moves it to `place`, the tree's directory in its release.
Placed put_tree(const std::string& releases, SourceTree& source, const std::string& place,
                KnownFiles& known) {
  auto made = ReleaseWriter::make(releases);
  if (!made) return disk_failure(made.error());
  const std::string directory = directory_above(place);
  StoredFiles stored;
  for (const auto& tree : trees_to_share(releases, directory)) stored.add_tree(tree, known);
  const std::string fresh = made->path() + "/" + base_name(place);
  TreeWriter writer(source, fresh, stored, known);
  if (auto written = writer.write(); !written) return tl::unexpected<Store::Failure>(written.error());
  if (auto same = source.unchanged(); !same)
    return tl::unexpected<Store::Failure>(Store::Failure{same.error(), true});
  if (auto kept = replace_file(manifest_path(made->path()), manifest_of(source.entries()), 0444); !kept)
    return disk_failure(kept.error());
  if (auto sealed = made->seal(); !sealed) return disk_failure(sealed.error());
  const auto moved = made->move_to(directory);
  if (!moved) return disk_failure(moved.error());
  if (*moved) return how_written(writer);
  if (::rename(manifest_path(made->path()).c_str(), manifest_path(directory).c_str()) != 0)
    return disk_failure(disk_fail("replace", manifest_path(directory), errno).value());
  const auto settled = settle_tree(place, fresh, source.entries().front());
  return settled ? Placed(how_written(writer) + *settled) : settled;
}

// One attempt.
Taken take_once(const std::string& releases, SourceTree& source) {
  if (auto described = source.describe(); !described)
    return tl::unexpected<Store::Failure>(Store::Failure{described.error(), true});
  Store::Taken taken;
  taken.id = source.id();
  taken.file = releases + "/" + taken.id + "/" + base_name(source.path());
  taken.seal = tree_seal;
  auto known = KnownFiles::of(releases);
  if (check_tree(taken.file, taken.id, KnownFiles(), known)) {
    if (auto same = source.unchanged(); !same)
      return tl::unexpected<Store::Failure>(Store::Failure{same.error(), true});
    known.keep_for(releases);
    taken.how = "already there";
    return taken;
  }
  const auto placed = put_tree(releases, source, taken.file, known);
  if (!placed) return tl::unexpected<Store::Failure>(placed.error());
  if (auto synced = sync_directory(releases); !synced) return disk_failure(synced.error());
  known.keep_for(releases);
  taken.how = *placed;
  return taken;
}

// The files of trees by inode, whose content is known.
using Shared = std::map<std::pair<std::uint64_t, std::uint64_t>, Stamp>;

void collect_known(const std::string& tree, const KnownFiles& known, Shared& shared) {
  const auto listed = list_stored(tree);
  if (!listed) return;
  for (const auto& entry : *listed)
    if (entry.is_file() && !known.hash_of(entry.stamp).empty())
      shared[{entry.stamp.device, entry.stamp.inode}] = entry.stamp;
}

void renew_shared(const std::string& releases, const Shared& shared, KnownFiles& known) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, Stamp> left = shared;
  for (const auto& tree : stored_trees(releases)) {
    const auto listed = list_stored(tree);
    if (!listed) continue;
    for (const auto& entry : *listed) {
      const auto it = left.find({entry.stamp.device, entry.stamp.inode});
      if (it == left.end()) continue;
      known.renew(it->second, entry.stamp);
      left.erase(it);
    }
  }
  for (const auto& [inode, stamp] : left) known.forget(stamp);
}

// Renames first, so that a release is whole or absent even if this process is killed.
Result<void> remove_release(const std::string& releases, const std::string& name) {
  const std::string from = releases + "/" + name;
  if (name.front() == '.') return remove_tree(from);
  const std::string doomed = releases + "/.old-" + name;
  [[maybe_unused]] const auto older = remove_tree(doomed);
  if (::rename(from.c_str(), doomed.c_str()) != 0) return os_fail("remove", from, errno);
  return remove_tree(doomed);
}

}  // namespace

Taken take_tree(const std::string& releases, SourceTree source) {
  for (int attempt = 1;; ++attempt) {
    auto taken = take_once(releases, source);
    if (taken) return taken;
    if (!source.has_changed() || attempt == take_attempts) return tree_failure(source.path(), taken.error());
    ::poll(nullptr, 0, pause_ms);
  }
}

Result<std::string> identify_tree(SourceTree source) {
  if (auto described = source.describe(); !described) return tl::unexpected<Error>(described.error());
  return source.id();
}

bool is_tree(const std::string& file) {
  struct stat info {};
  return (::lstat(file.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) ||
         ::access(manifest_path(directory_above(file)).c_str(), F_OK) == 0;
}

Result<void> remove_releases(const std::string& releases, const std::set<std::string>& names) {
  if (names.empty()) return {};
  auto known = KnownFiles::of(releases);
  Shared shared;
  for (const auto& tree : stored_trees(releases))
    if (names.contains(base_name(directory_above(tree)))) collect_known(tree, known, shared);
  Result<void> outcome;
  for (const auto& name : names)
    if (auto removed = remove_release(releases, name); !removed && outcome) outcome = removed;
  if (!shared.empty()) renew_shared(releases, shared, known);
  known.keep_for(releases);
  return outcome;
}

}  // namespace liveswap::release
