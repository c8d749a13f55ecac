#include "release/tree/entry.hpp"

namespace liveswap::release {
namespace {

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Stamp stamp_of(const struct stat& info) {
  Stamp stamp;
  stamp.device = info.st_dev;
  stamp.inode = info.st_ino;
  stamp.size = static_cast<std::uint64_t>(info.st_size);
  stamp.mode = info.st_mode;
  stamp.user = info.st_uid;
  stamp.group = info.st_gid;
  stamp.modified = nanoseconds(info.st_mtim);
  stamp.changed = nanoseconds(info.st_ctim);
  return stamp;
}

unsigned stored_mode(TreeEntry::Kind kind, unsigned mode) {
  if (kind == TreeEntry::Kind::link) return 0;
  const bool is_directory = kind == TreeEntry::Kind::directory;
  // Names in a directory cannot be used without its x bit.
  const auto may = [&](unsigned read, unsigned search) {
    return (mode & read) != 0 && (!is_directory || (mode & search) != 0);
  };
  unsigned stored = S_IRUSR;
  if (may(S_IRGRP, S_IXGRP)) stored |= S_IRGRP;
  if ((stored & S_IRGRP) && may(S_IROTH, S_IXOTH)) stored |= S_IROTH;
  if (is_directory || (mode & S_IXUSR)) stored |= stored >> 2;  // r bits to x bits
  return stored;
}

}  // namespace liveswap::release
