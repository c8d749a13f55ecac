#include "release/tree/tree_soundness.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/file.hpp"
#include "base/unique_fd.hpp"
#include "release/release_writer.hpp"
#include "release/sha256.hpp"
#include "release/tree/beneath.hpp"
#include "release/tree/listing.hpp"
#include "release/tree/manifest.hpp"

namespace liveswap::release {
namespace {

// 100,000 entries with long paths.
constexpr std::size_t manifest_limit = std::size_t{256} << 20;
constexpr int read_attempts = 3;

tl::unexpected<Unsound> unsound(std::string text, bool differs) {
  return tl::unexpected<Unsound>(Unsound{{std::move(text)}, differs});
}

// Whether the errno is about the tree, and not about this process (too many open files, no memory).
bool tells_of_tree(int number) {
  return number == 0 || number == ENOENT || number == ENOTDIR || number == ELOOP || number == EIO;
}

// Hashes a file that is not known, and learns it.
tl::expected<std::string, Unsound> hash_entry(const std::string& path, const TreeEntry& entry,
                                              KnownFiles& learned) {
  const auto fd =
      UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) return unsound(os_error("open", path, errno).text, tells_of_tree(errno));
  auto hash = sha256_of_file(fd.get(), path);
  if (!hash) return unsound(hash.error().text, tells_of_tree(errno));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !(stamp_of(info) == entry.stamp))
    return unsound(path + " was written to while it was hashed", false);
  learned.add(entry.stamp, *hash);
  return std::move(*hash);
}

tl::expected<std::string, Unsound> read_tree(const std::string& tree, const KnownFiles& trusted,
                                             KnownFiles& learned) {
  auto listed = list_stored(tree);
  if (!listed) return unsound(listed.error().text, tells_of_tree(listed.error().number));
  for (auto& entry : *listed) {
    if (!entry.is_file()) continue;
    entry.hash = trusted.hash_of(entry.stamp);
    if (!entry.hash.empty()) continue;
    auto hash = hash_entry(path_below(tree, entry.path), entry, learned);
    if (!hash) return tl::unexpected<Unsound>(hash.error());
    entry.hash = std::move(*hash);
  }
  return manifest_of(*listed);
}

// The release's own manifest; empty: not there, or damaged itself.
std::string recorded_manifest(const std::string& tree, const std::string& id) {
  const auto text = read_small_file(manifest_path(directory_above(tree)), manifest_limit, Links::refused);
  return text && sha256_of(*text) == id ? *text : "";
}

std::string describe_difference(const std::string& tree, const std::string& id, const std::string& found) {
  const auto expected = recorded_manifest(tree, id);
  if (expected.empty())
    return fmt::format("the files in {} have together the id {}, expected {}", tree, sha256_of(found), id);
  return fmt::format("the files in {} are not those that were taken: {}", tree,
                     differences(expected, found).text());
}

}  // namespace

tl::expected<void, Unsound> check_tree(const std::string& tree, const std::string& id,
                                       const KnownFiles& trusted, KnownFiles& learned) {
  for (int attempt = 1;; ++attempt) {
    const auto found = read_tree(tree, trusted, learned);
    if (!found && !found.error().differs && attempt < read_attempts) continue;
    if (!found) return tl::unexpected<Unsound>(found.error());
    if (sha256_of(*found) == id) return {};
    return unsound(describe_difference(tree, id, *found), true);
  }
}

Result<std::string> move_strays(const std::string& tree, const std::string& id, const std::string& stray) {
  KnownFiles learned;
  const auto found = read_tree(tree, learned, learned);
  if (!found) return tl::unexpected<Error>(found.error());
  const auto expected = recorded_manifest(tree, id);
  const auto different = differences(expected, *found);
  if (expected.empty() || !different.only_added()) return fail("not only added");
  ::mkdir(stray.c_str(), 0700);
  const std::string place = stray + "/" + id;
  for (const auto& path : different.added) {
    // Moved with the directory above it. Paths are sorted: the directory comes first.
    struct stat info {};
    if (::lstat(path_below(tree, path).c_str(), &info) != 0) continue;
    if (auto made = make_directories(stray, id + "/" + path); !made)
      return tl::unexpected<Error>(made.error());
    const std::string to = path_below(place, path);
    if (::rename(path_below(tree, path).c_str(), to.c_str()) == 0) continue;
    const std::string other = to + fmt::format(".{}", info.st_ino);
    if (::rename(path_below(tree, path).c_str(), other.c_str()) != 0)
      return os_fail("move to " + place, path_below(tree, path), errno);
  }
  return fmt::format("moved to {}: an application has to write to its working directory, not beside its code",
                     place);
}

}  // namespace liveswap::release
