#include "release/soundness.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/unique_fd.hpp"
#include "release/family.hpp"
#include "release/needs.hpp"
#include "release/private_libraries.hpp"
#include "release/seal.hpp"
#include "release/sha256.hpp"
#include "release/tree/tree_soundness.hpp"
#include "release/tree/tree_store.hpp"
#include "release/verity.hpp"

namespace liveswap::release {
namespace {

namespace fs = std::filesystem;

// How often files that change during the hashing are hashed.
constexpr int attempts = 3;

// NFS renames a removed file that is still open to such a name, and removes it later.
constexpr std::string_view nfs_name = ".nfs";

using Members = tl::expected<std::vector<Member>, Unsound>;

tl::unexpected<Unsound> differs(std::string text) {
  return tl::unexpected<Unsound>(Unsound{{std::move(text)}, true});
}

// These errors concern the file: missing, a link, unreadable sectors. Others (too many open files, no memory)
// tell nothing about its content.
tl::unexpected<Unsound> unreadable(const Error& error, int number) {
  const bool of_file = number == ENOENT || number == ENOTDIR || number == ELOOP || number == EIO;
  return tl::unexpected<Unsound>(Unsound{error, of_file});
}

// A file of a release.
struct Opened {
  UniqueFd fd;
  std::string hash;
};

// The hash of a file with fs-verity is looked up in `known`, and the file is read only; other files are
// hashed, and what fs-verity says of them is added.
tl::expected<Opened, Unsound> hashed(const std::string& directory, const std::string& name,
                                     KnownDigests& known) {
  const std::string path = directory + "/" + name;
  auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    const int number = errno;
    // A socket, or a device without a driver.
    if (number == ENXIO || number == ENODEV) return differs(os_error("open", path, number).text);
    return unreadable(os_error("open", path, number), number);
  }
  if (!S_ISREG(info.st_mode)) return differs(path + " is no regular file, as every file of a release is");
  const auto digest = verity_digest(fd.get());
  if (auto hash = known.hash_of(digest); !hash.empty()) {
    // The kernel checks what it reads from the disk.
    if (const auto read = read_whole(fd.get(), path); !read) return unreadable(read.error(), errno);
    return Opened{std::move(fd), std::move(hash)};
  }
  auto hash = sha256_of_file(fd.get(), path);
  if (!hash) return unreadable(hash.error(), errno);
  known.add(digest, *hash);
  return Opened{std::move(fd), std::move(*hash)};
}

// The members of a release that has `.needed`: every file below its directory.
Members all_members(const std::string& directory, const std::string& first, KnownDigests& known) {
  auto names = names_below(directory);
  if (!names) return tl::unexpected<Unsound>(names.error());
  std::stable_partition(names->begin(), names->end(), [&](const auto& name) { return name == first; });
  if (names->empty() || names->front() != first)
    return differs(os_error("open", directory + "/" + first, ENOENT).text);
  std::vector<Member> members;
  for (const auto& name : *names) {
    auto file = hashed(directory, name, known);
    if (!file) return tl::unexpected<Unsound>(file.error());
    members.push_back({name, std::move(file->hash)});
  }
  return members;
}

// The members of a release without `.needed`: the files that the dynamic linker would load. Other files in
// its directory do no harm.
Members loaded_members(const std::string& directory, const std::string& first, KnownDigests& known) {
  const auto place = UniqueFd::adopt(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place) return unreadable(os_error("open", directory, errno), errno);
  PrivateLibraries privates(place.get(), directory);
  std::vector<Member> members;
  std::vector<std::string> to_visit{first};
  for (std::size_t i = 0; i < to_visit.size(); ++i) {
    const std::string name = to_visit[i];
    // `privates` found this library outside of the release. The copy in `.needed`, which would be found
    // first, is missing.
    if (name.starts_with(needed_directory))
      return differs(os_error("open", directory + "/" + name, ENOENT).text);
    auto file = hashed(directory, name, known);
    if (!file) return tl::unexpected<Unsound>(file.error());
    members.push_back({name, std::move(file->hash)});
    const auto needs = read_needs(file->fd.get());
    if (!needs) continue;
    const auto more = privates.of(name, *needs);
    if (!more) return differs(more.error().text);
    for (const auto& one : *more) to_visit.push_back(one.name);
  }
  std::sort(members.begin() + 1, members.end(),
            [](const Member& x, const Member& y) { return x.name < y.name; });
  return members;
}

// The id of several files does not tell which one differs. Returns the files with an mtime after the release
// was moved to its place. A tool that sets mtime back remains unnoticed.
std::vector<std::string> written_later(const std::string& directory, const std::vector<Member>& members) {
  struct stat placed {};
  if (::stat(directory.c_str(), &placed) != 0) return {};
  std::vector<std::string> found;
  for (const auto& member : members) {
    struct stat info {};
    const std::string path = directory + "/" + member.name;
    if (::stat(path.c_str(), &info) == 0 && info.st_mtim.tv_sec > placed.st_mtim.tv_sec)
      found.push_back(path);
  }
  return found;
}

std::string difference(const std::string& directory, const std::vector<Member>& members,
                       const std::string& id) {
  const std::string found = id_of(members);
  if (members.size() == 1)
    return fmt::format("{}/{} has the SHA-256 {}, expected {}", directory, members.front().name, found, id);
  const auto later = written_later(directory, members);
  return fmt::format(
      "the files in {} ({} and its private libraries) have together the id {}, expected {}{}{}", directory,
      members.front().name, found, id,
      later.empty() ? "" : "; written to since they were taken: ", fmt::join(later, ", "));
}

}  // namespace

tl::expected<std::vector<std::string>, Unsound> names_below(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  fs::recursive_directory_iterator entry(directory, failed), end;
  for (; !failed && entry != end && names.size() < files_limit; entry.increment(failed)) {
    if (entry->path().filename().string().starts_with(nfs_name)) continue;
    std::error_code ignored;
    if (!fs::is_directory(entry->symlink_status(ignored)))
      names.push_back(entry->path().string().substr(directory.size() + 1));
  }
  if (failed) return unreadable(os_error("look at", directory, failed.value()), failed.value());
  std::sort(names.begin(), names.end());
  return names;
}

tl::expected<void, Unsound> check_bytes(const std::string& directory, const std::string& name,
                                        const std::string& id) {
  auto known = KnownDigests::of(directory);
  const bool has_needed = ::access((directory + "/" + needed_directory).c_str(), F_OK) == 0;
  const auto members =
      has_needed ? all_members(directory, name, known) : loaded_members(directory, name, known);
  if (!members) return tl::unexpected<Unsound>(members.error());
  if (id_of(*members) == id) {
    known.keep_for(directory);
    return {};
  }
  return differs(difference(directory, *members, id));
}

namespace {

// Hashes again if the seal changed meanwhile, as the files may have been written to.
tl::expected<std::string, Unsound> check_sealed(const std::string& directory, const std::string& name,
                                                const std::string& id) {
  for (int attempt = 0; attempt < attempts; ++attempt) {
    const auto before = seal_of(directory);
    if (auto checked = check_bytes(directory, name, id); !checked) {
      const auto after = seal_of(directory);
      if (before && after && *after != *before) continue;
      return tl::unexpected<Unsound>(checked.error());
    }
    // Too many files for a seal, for example: the release is then hashed every time.
    if (!before) return std::string();
    const auto after = seal_of(directory);
    if (after && *after == *before) return *after;
  }
  return tl::unexpected<Unsound>(Unsound{
      {fmt::format("the files in {} were written to while they were hashed, {} times", directory, attempts)},
      false});
}

// Damage is told of only after all files have been read.
tl::expected<std::string, Unsound> check_stored_tree(const Store& store, const std::string& tree,
                                                     const std::string& id, Hashing hashing) {
  auto known = KnownFiles::of(store.releases());
  const bool trusts = hashing == Hashing::changed;
  auto checked = check_tree(tree, id, trusts ? known : KnownFiles(), known);
  if (trusts && !checked && checked.error().differs) checked = check_tree(tree, id, KnownFiles(), known);
  known.keep_for(store.releases());
  if (!checked) return tl::unexpected<Unsound>(checked.error());
  return std::string(tree_seal);
}

tl::expected<std::string, Unsound> check_release(const Store& store, const Committed& release,
                                                 Hashing hashing) {
  const std::string file = store.file(release.id, release.path);
  if (is_tree(file)) return check_stored_tree(store, file, release.id, hashing);
  return check_sealed(store.directory(release.id), base_name(file), release.id);
}

// Replaces the stored files from the original ones. Returns what was done.
Result<std::string> mend(const Store& store, const Committed& release, const Trust& trust) {
  const std::string file = store.file(release.id, release.path);
  if (is_tree(file))
    if (const auto moved = move_strays(file, release.id, store.stray())) return *moved;
  const auto there = identify(release.path);
  if (!there) return tl::unexpected<Error>(there.error());
  if (*there != release.id) return fail(release.path + " has other content by now");
  if (const auto taken = store.take(release.path, trust); !taken) return fail(taken.error().text);
  return "mended from " + release.path;
}

}  // namespace

tl::expected<Sound, Unsound> examine(const Store& store, const Committed& release, const Trust& trust,
                                     Hashing hashing) {
  const auto checked = check_release(store, release, hashing);
  if (checked) return Sound{*checked, ""};
  if (!checked.error().differs) return tl::unexpected<Unsound>(checked.error());
  const auto give_up = [&](const std::string& why) {
    return differs(checked.error().text + "; it cannot be mended: " + why);
  };
  const auto mended = mend(store, release, trust);
  if (!mended) return give_up(mended.error().text);
  const auto again = check_release(store, release, Hashing::all);
  if (!again) return give_up(again.error().text);
  return Sound{*again, checked.error().text + "; " + *mended};
}

}  // namespace liveswap::release
