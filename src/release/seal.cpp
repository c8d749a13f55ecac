#include "release/seal.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "release/sha256.hpp"

namespace liveswap::release {
namespace {

namespace fs = std::filesystem;

// Directories by name only: their times change whenever a file in them gets another link.
std::string line_of(const std::string& path, const struct stat& info) {
  if (S_ISDIR(info.st_mode)) return path + "/\n";
  return fmt::format("{} {:o} {} {} {} {}.{} {}.{}\n", path, info.st_mode, info.st_dev, info.st_ino,
                     info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec,
                     info.st_ctim.tv_nsec);
}

}  // namespace

Result<std::string> seal_of(const std::string& directory) {
  std::vector<std::string> lines;
  std::error_code failed;
  fs::recursive_directory_iterator entry(directory, failed), end;
  for (; !failed && entry != end; entry.increment(failed)) {
    struct stat info {};
    const std::string path = entry->path().string();
    if (::lstat(path.c_str(), &info) != 0) return os_fail("look at", path, errno);
    lines.push_back(line_of(path, info));
    if (lines.size() > files_limit)
      return fail(fmt::format("{} has more than {} files", directory, files_limit));
  }
  if (failed) return os_fail("look at", directory, failed.value());
  std::sort(lines.begin(), lines.end());
  return sha256_of(fmt::format("{}", fmt::join(lines, "")));
}

}  // namespace liveswap::release
