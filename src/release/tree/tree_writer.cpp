#include "release/tree/tree_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "release/copy.hpp"
#include "release/disk.hpp"
#include "release/sha256.hpp"

namespace liveswap::release {
namespace {

using WriteStep = tl::expected<void, Store::Failure>;

// Up to this number of entries, each is synced by itself: syncfs() also waits for what other programs have
// written.
constexpr std::size_t synced_singly = 32;

WriteStep disk_step(const std::string& operation, const std::string& object) {
  return tl::unexpected<Store::Failure>(Store::Failure{disk_fail(operation, object, errno).value(), false});
}

WriteStep source_step(const Error& error) {
  return tl::unexpected<Store::Failure>(Store::Failure{error, true});
}
WriteStep disk_step(const Error& error) {
  return tl::unexpected<Store::Failure>(Store::Failure{error, false});
}

// Owner, group, times and permissions of a copy. `fd`: its descriptor.
WriteStep set_attributes(int fd, const TreeEntry& entry, const std::string& path) {
  if (needs_group(entry.mode) && ::fchown(fd, static_cast<uid_t>(-1), entry.stamp.group) != 0)
    return source_step(
        {fmt::format("{} may be read by its group only, and its copy cannot get the group {} ({}): "
                     "`chmod o+r` or `chmod g-r` it, or become a member of the group",
                     entry.path, entry.stamp.group, error_text(errno))});
  constexpr std::int64_t second = 1'000'000'000;
  const timespec times[2] = {
      {0, UTIME_OMIT},
      {static_cast<time_t>(entry.stamp.modified / second), static_cast<long>(entry.stamp.modified % second)}};
  // A time before 1970 has a negative rest; such a time is not worth keeping.
  if (entry.stamp.modified >= 0 && ::futimens(fd, times) != 0) return disk_step("set the time of", path);
  if (::fchmod(fd, entry.mode) != 0) return disk_step("set the mode of", path);
  return {};
}

WriteStep sync_file(const std::string& path) {
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd || (::fsync(fd.get()) != 0 && errno != EINVAL)) return disk_step("sync", path);
  return {};
}

}  // namespace

WriteStep TreeWriter::write() {
  for (const auto& entry : source_.entries())
    if (auto made = make(entry); !made) return made;
  if (auto finished = finish_directories(); !finished) return finished;
  return sync();
}

WriteStep TreeWriter::make(const TreeEntry& entry) {
  const std::string path = path_below(place_, entry.path);
  switch (entry.kind) {
    case TreeEntry::Kind::directory:
      if (::mkdir(path.c_str(), 0700) != 0) return disk_step("make directory", path);
      return {};
    case TreeEntry::Kind::link:
      if (::symlink(entry.target.c_str(), path.c_str()) != 0)
        return disk_step("make the symbolic link", path);
      return {};
    case TreeEntry::Kind::file: return file(entry, path);
  }
  return {};
}

WriteStep TreeWriter::file(const TreeEntry& entry, const std::string& path) {
  if (link(entry, path)) {
    ++linked_;
    return {};
  }
  ++copied_;
  return copy(entry, path);
}

// False: there is no such file, or no link to it can be made (too many links, another quota).
bool TreeWriter::link(const TreeEntry& entry, const std::string& path) {
  const std::string* there = stored_.find(entry.hash, entry.mode, entry.stamp.group);
  struct stat before {
  }, now{};
  if (!there || ::lstat(there->c_str(), &before) != 0 || known_.hash_of(stamp_of(before)) != entry.hash ||
      ::link(there->c_str(), path.c_str()) != 0)
    return false;
  if (::lstat(path.c_str(), &now) != 0) return false;
  known_.renew(stamp_of(before), stamp_of(now));
  return true;
}

WriteStep TreeWriter::copy(const TreeEntry& entry, const std::string& path) {
  const auto source = source_.open_file(entry);
  if (!source) return source_step(source.error());
  const auto fd =
      UniqueFd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return disk_step("make", path);
  if (const auto way = copy_bytes(source->fd(), fd.get(), source->size(), path); !way)
    return disk_step(way.error());
  const auto hash = sha256_of_file(fd.get(), path);
  if (!hash) return disk_step(hash.error());
  if (*hash != entry.hash) return source_step(source_.changed_meanwhile(source->shown()).value());
  if (auto set = set_attributes(fd.get(), entry, path); !set) return set;
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return disk_step("look at", path);
  known_.add(stamp_of(info), *hash);
  stored_.add(*hash, entry.mode, entry.stamp.group, path);
  return {};
}

WriteStep TreeWriter::finish_directories() const {
  for (const auto& entry : source_.entries()) {
    if (!entry.is_directory()) continue;
    const std::string path = path_below(place_, entry.path);
    const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return disk_step("open directory", path);
    if (auto set = set_attributes(fd.get(), entry, path); !set) return set;
  }
  return {};
}

WriteStep TreeWriter::sync() const {
  if (source_.entries().size() > synced_singly) {
    const auto fd = open_directory(place_);
    if (!fd) return disk_step(fd.error());
    if (::syncfs(fd->get()) == 0) return {};
    if (errno != ENOSYS && errno != EPERM) return disk_step("sync", place_);
  }
  for (const auto& entry : source_.entries())
    if (entry.kind != TreeEntry::Kind::link)
      if (auto synced = sync_file(path_below(place_, entry.path)); !synced) return synced;
  return {};
}

}  // namespace liveswap::release
