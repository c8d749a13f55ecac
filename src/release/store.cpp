#include "release/store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>

#include "base/log.hpp"
#include "release/disk.hpp"
#include "release/family.hpp"
#include "release/private_libraries.hpp"
#include "release/release_writer.hpp"
#include "release/runtime_record.hpp"
#include "release/seal.hpp"
#include "release/sha256.hpp"
#include "release/soundness.hpp"
#include "release/tree/source_tree.hpp"
#include "release/tree/tree_store.hpp"
#include "release/verity.hpp"

namespace liveswap::release {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t prefix_min = 6;
constexpr const char* already_there = "already there";

Error taking(const std::string& path, const Error& error) {
  // The error may concern a different file, a private library.
  if (error.text.find(path) != std::string::npos) return error;
  return {"cannot take " + path + " into the release store: " + error.text};
}

// Shared lock for take(), exclusive for removals. Released with the descriptor.
Result<UniqueFd> lock(const std::string& releases, int operation) {
  auto directory = open_directory(releases);
  if (!directory) return directory;
  while (::flock(directory->get(), operation) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK)
      return fail("the release store " + releases + " is in use: old releases are removed later");
    return os_fail("lock", releases, errno);
  }
  return directory;
}

Result<UniqueFd> open_for_taking(const std::string& releases) {
  if (auto made = make_directory(releases, 0755); !made) return tl::unexpected<Error>(made.error());
  auto directory = lock(releases, LOCK_SH);
  if (!directory) return directory;
  struct stat info {};
  if (::fstat(directory->get(), &info) != 0) return os_fail("look at", releases, errno);
  if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)))
    return fail(
        fmt::format("directory {} belongs to user {} and has mode {:04o}, expected user {} and mode 0755: "
                    "its files are executed",
                    releases, info.st_uid, info.st_mode & 07777, ::geteuid()));
  return directory;
}

// If the release contains the same file under another name (`twin`), adds a hard link.
bool link_to_twin(const std::string& place, const Member& member) {
  std::error_code failed;
  for (const auto& twin : fs::directory_iterator(place, failed)) {
    const auto fd =
        UniqueFd::adopt(::open(twin.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const auto hash = sha256_of_file(fd.get(), twin.path().string());
    if (hash && *hash == member.hash && ::link(twin.path().c_str(), (place + "/" + member.name).c_str()) == 0)
      return true;
  }
  return false;
}

// Moves the files of a new copy over those at `place`, one rename each. Workers keep the file that they have
// mapped; any open() finds the old or the new file, whole.
Result<void> move_over(const std::string& fresh, const std::string& place,
                       const std::vector<Member>& members) {
  for (const auto& member : members) {
    const auto directories = make_directories(place, member.name);
    if (!directories) return tl::unexpected<Error>(directories.error());
    const std::string to = place + "/" + member.name;
    if (::rename((fresh + "/" + member.name).c_str(), to.c_str()) != 0)
      return disk_fail("replace", to, errno);
    for (const auto& directory : *directories)
      if (auto synced = sync_directory(directory); !synced) return synced;
  }
  return sync_directory(place);
}

// Removes files that are no members but that the dynamic linker might load: all such files if the release has
// `.needed`, otherwise those in `.needed`.
Result<void> remove_foreign(const std::string& place, const std::vector<Member>& members) {
  const auto is_needed = [](const std::string& name) { return name.starts_with(needed_directory); };
  const bool has_needed =
      std::any_of(members.begin(), members.end(), [&](const Member& one) { return is_needed(one.name); });
  std::error_code failed;
  if (!has_needed) {
    fs::remove_all(place + "/" + needed_directory, failed);
    return failed ? Result<void>(os_fail("remove", place + "/" + needed_directory, failed.value()))
                  : Result<void>();
  }
  const auto names = names_below(place);
  if (!names) return tl::unexpected<Error>(names.error());
  for (const auto& name : *names) {
    if (std::any_of(members.begin(), members.end(), [&](const Member& one) { return one.name == name; }))
      continue;
    if (::unlink((place + "/" + name).c_str()) != 0) return os_fail("remove", place + "/" + name, errno);
  }
  return {};
}

// Compares the release at `place` with the new copy and repairs it. Returns what was found, for people.
Result<std::string> settle_with(const std::string& place, const ReleaseWriter& writer, const std::string& id,
                                const std::vector<Member>& members) {
  const std::string first = place + "/" + members.front().name;
  const bool other_name = ::access(first.c_str(), F_OK) != 0;
  if (other_name && members.size() == 1 && link_to_twin(place, members.front())) {
    if (auto synced = sync_directory(place); !synced) return tl::unexpected<Error>(synced.error());
    return "already there under another name";
  }
  if (!other_name && check_bytes(place, members.front().name, id)) return already_there;
  if (auto moved = move_over(writer.path(), place, members); !moved)
    return tl::unexpected<Error>(moved.error());
  if (auto removed = remove_foreign(place, members); !removed) return tl::unexpected<Error>(removed.error());
  if (const auto again = check_bytes(place, members.front().name, id); !again)
    return tl::unexpected<Error>(again.error());
  if (other_name) return word(writer.way());
  log::warning("the release store had a damaged copy of {}: replaced", first);
  return std::string(word(writer.way())) + ", in place of a damaged copy";
}

Result<std::string> put_in_place(const std::string& releases, ReleaseWriter writer, const std::string& id,
                                 const std::vector<Member>& members) {
  if (auto sealed = writer.seal(); !sealed) return tl::unexpected<Error>(sealed.error());
  const std::string place = releases + "/" + id;
  const auto digests = writer.digests();
  const auto moved = writer.move_to(place);
  if (!moved) return tl::unexpected<Error>(moved.error());
  auto how = *moved ? Result<std::string>(word(writer.way())) : settle_with(place, writer, id, members);
  if (how) digests.keep_for(place);
  // Necessary even if the release existed: the process that wrote it may have been killed before this step.
  if (auto synced = sync_directory(releases); !synced) return tl::unexpected<Error>(synced.error());
  return how;
}

std::vector<std::string> sorted_names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end; entry.increment(failed))
    names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Store::Store(std::string state_dir) : state_dir_(std::move(state_dir)), releases_(state_dir_ + "/releases") {}

tl::expected<Store::Taken, Store::Failure> Store::take(const std::string& path, const Trust& trust) const {
  const auto give_up = [&](const Error& error, bool of_file = false) {
    return tl::unexpected<Failure>(Failure{taking(path, error), of_file});
  };
  const auto held = open_for_taking(releases_);
  if (!held) return give_up(held.error());
  if (auto checked = check_path(path); !checked) return give_up(checked.error(), true);
  if (auto tree = SourceTree::open(path, trust)) return take_tree(releases_, std::move(*tree));
  auto writer = ReleaseWriter::make(releases_);
  if (!writer) return give_up(writer.error());
  bool of_disk = false;
  const auto members = visit_family(path, trust, [&](const Source& source, const std::string& name) {
    auto added = writer->add(source, name);
    of_disk = !added && source.unchanged();
    return added;
  });
  if (!members) return give_up(members.error(), !of_disk);
  Taken taken;
  taken.id = id_of(*members);
  taken.file = file(taken.id, path);
  for (std::size_t i = 1; i < members->size(); ++i) taken.private_libraries.push_back((*members)[i].name);
  const std::string directory = releases_ + "/" + taken.id;
  const bool has_verity = !writer->digests().text().empty();
  const auto before = seal_of(directory);
  const auto how = put_in_place(releases_, std::move(*writer), taken.id, *members);
  if (!how) return give_up(how.error());
  const auto after = seal_of(directory);
  if (after && (*how != already_there || (before && *before == *after))) taken.seal = *after;
  taken.how = *how + (has_verity ? ", fs-verity" : "");
  return taken;
}

std::string Store::file(const std::string& id, const std::string& path) const {
  return releases_ + "/" + id + "/" + base_name(path);
}

std::string Store::needed(const std::string& file) {
  const std::string directory = file.substr(0, file.rfind('/') + 1) + needed_directory;
  return ::access(directory.c_str(), X_OK) == 0 ? directory : "";
}

bool Store::has(const std::string& id, const std::string& path) const {
  return is_id(id) && ::access(file(id, path).c_str(), R_OK) == 0;
}

Result<std::string> Store::complete(const std::string& prefix) const {
  std::string digits = prefix;
  std::transform(digits.begin(), digits.end(), digits.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (digits.size() < prefix_min || digits.find_first_not_of("0123456789abcdef") != std::string::npos)
    return fail(fmt::format("release \"{}\": expected the first {} or more hex digits of its id", prefix,
                            prefix_min));
  std::string found;
  for (const auto& name : sorted_names(releases_)) {
    if (!is_id(name) || !name.starts_with(digits)) continue;
    if (!found.empty())
      return fail(
          fmt::format("release {}: found {} and {}, expected one: say more digits", prefix, found, name));
    found = name;
  }
  if (found.empty())
    return fail(fmt::format("release {}: none in {} begins so: `liveswap history` shows those that are kept",
                            prefix, releases_));
  return found;
}

Result<void> Store::keep_only(const std::set<std::string>& ids) const {
  if (::access(releases_.c_str(), F_OK) != 0 && errno == ENOENT) return {};
  const auto held = lock(releases_, LOCK_EX | LOCK_NB);
  if (!held) return tl::unexpected<Error>(held.error());
  std::set<std::string> old;
  for (const auto& name : sorted_names(releases_)) {
    const bool left_over = name.starts_with(".new-") || name.starts_with(".old-");
    const std::string beside = release_of_digests(name) + release_of_runtime(name);
    const std::string id = is_id(name) ? name : beside;
    if (left_over || (!id.empty() && !ids.contains(id))) old.insert(name);
  }
  return remove_releases(releases_, old);
}

}  // namespace liveswap::release
