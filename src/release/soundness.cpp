#include "release/soundness.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/unique_fd.hpp"
#include "release/family.hpp"
#include "release/private_libraries.hpp"
#include "release/seal.hpp"
#include "release/sha256.hpp"

namespace liveswap::release {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t files_limit = 1000;

Result<Member> hashed(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return os_fail("open", path, errno);
  if (!S_ISREG(info.st_mode)) return fail(path + " is no regular file, as every file of a release is");
  auto hash = sha256_of_file(fd.get(), path);
  if (!hash) return tl::unexpected<Error>(hash.error());
  return Member{name, std::move(*hash)};
}

// A release with libraries from elsewhere is everything in its directory.
Result<std::vector<Member>> all_members(const std::string& directory, const std::string& first) {
  std::vector<std::string> names;
  std::error_code failed;
  fs::recursive_directory_iterator entry(directory, failed), end;
  for (; !failed && entry != end && names.size() < files_limit; entry.increment(failed))
    if (!fs::is_directory(entry->symlink_status())) names.push_back(entry->path().string().substr(directory.size() + 1));
  if (failed) return os_fail("look at", directory, failed.value());
  std::sort(names.begin(), names.end());
  std::stable_partition(names.begin(), names.end(), [&](const auto& name) { return name == first; });
  if (names.empty() || names.front() != first) return os_fail("open", directory + "/" + first, ENOENT);
  std::vector<Member> members;
  for (const auto& name : names) {
    auto member = hashed(directory, name);
    if (!member) return tl::unexpected<Error>(member.error());
    members.push_back(std::move(*member));
  }
  return members;
}

// What the loader would take: another file under another name in the same directory does no harm.
Result<std::vector<Member>> loaded_members(const std::string& directory, const std::string& first) {
  auto members = members_of(directory + "/" + first);
  if (!members) return members;
  for (const auto& member : *members)
    if (member.name.starts_with(needed_directory)) return os_fail("open", directory + "/" + member.name, ENOENT);
  return members;
}

// Of several files the id does not tell which one differs. One that was written to after the release was put in its place is
// the one, unless somebody has set its time back.
std::vector<std::string> written_later(const std::string& directory, const std::vector<Member>& members) {
  struct stat placed {};
  if (::stat(directory.c_str(), &placed) != 0) return {};
  std::vector<std::string> found;
  for (const auto& member : members) {
    struct stat info {};
    const std::string path = directory + "/" + member.name;
    if (::stat(path.c_str(), &info) == 0 && info.st_mtim.tv_sec > placed.st_mtim.tv_sec) found.push_back(path);
  }
  return found;
}

std::string difference(const std::string& directory, const std::vector<Member>& members, const std::string& id) {
  const std::string found = id_of(members);
  if (members.size() == 1)
    return fmt::format("{}/{} has the SHA-256 {}, expected {}", directory, members.front().name, found, id);
  const auto later = written_later(directory, members);
  return fmt::format("the files in {} ({} and its private libraries) have together the id {}, expected {}{}{}", directory,
                     members.front().name, found, id, later.empty() ? "" : "; written to since they were taken: ",
                     fmt::join(later, ", "));
}

}  // namespace

Result<void> check_bytes(const std::string& directory, const std::string& name, const std::string& id) {
  const bool has_needed = ::access((directory + "/" + needed_directory).c_str(), F_OK) == 0;
  const auto members = has_needed ? all_members(directory, name) : loaded_members(directory, name);
  if (!members) return tl::unexpected<Error>(members.error());
  if (id_of(*members) == id) return {};
  return fail(difference(directory, *members, id));
}

namespace {

// What is written while it is hashed has another seal afterwards.
Result<std::string> check_sealed(const std::string& directory, const std::string& name, const std::string& id) {
  const auto before = seal_of(directory);
  if (!before) return before;
  if (auto checked = check_bytes(directory, name, id); !checked) return tl::unexpected<Error>(checked.error());
  const auto after = seal_of(directory);
  if (after && *after != *before) return fail("the files in " + directory + " were written to while they were hashed");
  return after;
}

}  // namespace

Result<Sound> verify(const Store& store, const Committed& release, const Trust& trust) {
  const std::string file = store.file(release.id, release.path);
  const std::string directory = file.substr(0, file.rfind('/')), name = base_name(file);
  const auto checked = check_sealed(directory, name, release.id);
  if (checked) return Sound{*checked, ""};
  const auto give_up = [&](const std::string& why) { return fail(checked.error().text + "; it cannot be mended: " + why); };
  const auto there = identify(release.path);
  if (!there) return give_up(there.error().text);
  if (*there != release.id) return give_up(release.path + " has other content by now");
  if (const auto taken = store.take(release.path, trust); !taken) return give_up(taken.error().text);
  const auto again = check_sealed(directory, name, release.id);
  if (!again) return give_up(again.error().text);
  return Sound{*again, checked.error().text + "; mended from " + release.path};
}

}  // namespace liveswap::release
