#include "release/seal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/unique_fd.hpp"
#include "release/sha256.hpp"
#include "release/verity.hpp"

namespace liveswap::release {
namespace {

namespace fs = std::filesystem;

std::string digest_of(const std::string& path) {
  const auto fd =
      UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  return fd ? verity_digest(fd.get()) : "";
}

// Directories by name only: their times change whenever a file in them gets another link. A file with
// fs-verity by its digest, which names the content for certain.
std::string line_of(const std::string& path, const struct statx& info) {
  if (S_ISDIR(info.stx_mode)) return path + "/\n";
  if (S_ISREG(info.stx_mode) && (info.stx_attributes & STATX_ATTR_VERITY))
    if (const auto digest = digest_of(path); !digest.empty())
      return fmt::format("{} {:o} {}\n", path, info.stx_mode, digest);
  return fmt::format("{} {:o} {}:{} {} {} {}.{} {}.{}\n", path, info.stx_mode, info.stx_dev_major,
                     info.stx_dev_minor, info.stx_ino, info.stx_size, info.stx_mtime.tv_sec,
                     info.stx_mtime.tv_nsec, info.stx_ctime.tv_sec, info.stx_ctime.tv_nsec);
}

}  // namespace

Result<std::string> seal_of(const std::string& directory) {
  std::vector<std::string> lines;
  std::error_code failed;
  fs::recursive_directory_iterator entry(directory, failed), end;
  for (; !failed && entry != end; entry.increment(failed)) {
    struct statx info {};
    const std::string path = entry->path().string();
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &info) != 0)
      return os_fail("look at", path, errno);
    lines.push_back(line_of(path, info));
    if (lines.size() > files_limit)
      return fail(fmt::format("{} has more than {} files", directory, files_limit));
  }
  if (failed) return os_fail("look at", directory, failed.value());
  std::sort(lines.begin(), lines.end());
  return sha256_of(fmt::format("{}", fmt::join(lines, "")));
}

}  // namespace liveswap::release
