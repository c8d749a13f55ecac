#include "spawn/obstacle.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "spawn/fs_identity.hpp"

namespace liveswap::spawn {
namespace {

namespace fs = std::filesystem;

std::string name_of(uid_t user) {
  const passwd* entry = ::getpwuid(user);
  return entry ? entry->pw_name : fmt::format("user {}", user);
}

// 0, or the errno with which that user cannot enter the directory.
int entering(const fs::path& directory, const std::optional<Identity>& identity) {
  const FsIdentity as(identity);
  if (as.error() != 0) return as.error();
  struct stat info {};
  return ::stat((directory / ".").c_str(), &info) == 0 ? 0 : errno;
}

// The directories from the root to `path` or its parent.
std::vector<fs::path> directories_of(const fs::path& path) {
  std::vector<fs::path> found;
  fs::path walked;
  std::error_code failed;
  for (const auto& part : path) {
    walked /= part;
    if (fs::is_directory(walked, failed)) found.push_back(walked);
  }
  return found;
}

std::optional<std::string> closed_directory(const fs::path& path, const Identity& identity,
                                            const std::string& option) {
  for (const auto& directory : directories_of(path)) {
    if (entering(directory, identity) != EACCES) continue;
    struct stat info {};
    if (::stat(directory.c_str(), &info) != 0) continue;
    return fmt::format(
        "the workers' user {} cannot pass through {} to {}: Permission denied: it belongs to {} and has mode "
        "{:04o}; `chmod o+x {}` lets everybody through, {} chooses another place",
        name_of(identity.user), directory.string(), path.string(), name_of(info.st_uid), info.st_mode & 07777,
        directory.string(), option);
  }
  return std::nullopt;
}

// A mount point of mountinfo, where blanks and others are octal (proc(5)).
std::string unescaped(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool lies_in(const std::string& path, const std::string& directory) {
  return directory == "/" || path == directory || path.starts_with(directory + "/");
}

// The longest mount point that is a prefix; of equal ones the last, which hides the others.
std::string mount_point_of(const std::string& path) {
  std::ifstream table("/proc/self/mountinfo");
  std::string found = "/";
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string word, point;
    words >> word >> word >> word >> word >> point;
    point = unescaped(point);
    if (lies_in(path, point) && point.size() >= found.size()) found = point;
  }
  return found;
}

std::optional<std::string> without_exec(const fs::path& path, const std::string& option) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0 || !(info.f_flag & ST_NOEXEC)) return std::nullopt;
  const std::string point = mount_point_of(path.string());
  return fmt::format(
      "{} lies on the file system that is mounted at {} with the option noexec, so no code can be loaded "
      "from there: "
      "{} chooses another place, or `mount -o remount,exec {}`",
      path.string(), point, option, point);
}

}  // namespace

std::optional<std::string> obstacle(const std::string& path, const std::optional<Identity>& identity,
                                    const std::string& option) {
  std::error_code failed;
  const fs::path real = fs::canonical(path, failed);
  if (failed) return std::nullopt;
  if (identity)
    if (auto closed = closed_directory(real, *identity, option)) return closed;
  return without_exec(real, option);
}

}  // namespace liveswap::spawn
