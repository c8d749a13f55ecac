#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>

#include "base/unique_fd.hpp"

namespace liveswap {
namespace {

constexpr std::size_t least_read = 4096;

const char* kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a FIFO";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    case S_IFSOCK: return "a socket";
    case S_IFLNK: return "a symbolic link";
    default: return "something else";
  }
}

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_fail("write", path, errno);
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd) != 0) return os_fail("sync", path, errno);
  return {};
}

}  // namespace

Result<std::string> read_small_file(const std::string& path, std::size_t limit, Links links) {
  const int nofollow = links == Links::refused ? O_NOFOLLOW : 0;
  const auto fd =
      UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | nofollow));
  if (!fd && errno == ELOOP && nofollow)
    return fail(fmt::format("{} is a symbolic link, not a regular file", path));
  if (!fd) return os_fail("open", path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return os_fail("look at", path, errno);
  if (!S_ISREG(info.st_mode))
    return fail(fmt::format("{} is {}, not a regular file", path, kind_of(info.st_mode)));
  // st_size is only a hint: the file may grow, and files in /proc report 0.
  const auto hint = static_cast<std::size_t>(info.st_size) + 1;
  std::string text(std::min(std::max(hint, least_read), limit + 1), '\0');
  std::size_t length = 0;
  while (length <= limit) {
    if (length == text.size()) text.resize(std::min(2 * text.size(), limit + 1));
    const ssize_t n = ::read(fd.get(), text.data() + length, text.size() - length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_fail("read", path, errno);
    if (n == 0) break;
    length += static_cast<std::size_t>(n);
  }
  if (length > limit) return fail(fmt::format("{} has more than {} bytes", path, limit));
  text.resize(length);
  return text;
}

Result<void> replace_file(const std::string& path, std::string_view content, unsigned mode) {
  const auto above = std::filesystem::path(path).parent_path().string();
  // Opened before the rename, which cannot be undone: after the rename, nothing may fail.
  const auto directory =
      UniqueFd::adopt(::open(above.empty() ? "." : above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return os_fail("open directory", above, errno);
  std::string temporary = path + ".XXXXXX";
  const auto fd = UniqueFd::adopt(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return os_fail("make a file beside", path, errno);
  const auto give_up = [&](Error error) -> Result<void> {
    ::unlink(temporary.c_str());
    return tl::unexpected<Error>(std::move(error));
  };
  if (::fchmod(fd.get(), mode) != 0) return give_up(os_error("set the mode of", temporary, errno));
  if (auto written = write_all(fd.get(), content, temporary); !written) return give_up(written.error());
  if (::rename(temporary.c_str(), path.c_str()) != 0) return give_up(os_error("replace", path, errno));
  // If this fails, the new file is already in place, so the replacement has not failed.
  ::fsync(directory.get());
  return {};
}

Result<void> ensure_private_directory(const std::string& path, unsigned forbidden) {
  std::filesystem::path above;
  for (const auto& part : std::filesystem::path(path).parent_path()) {
    above /= part;
    ::mkdir(above.c_str(), 0755);  // a mode of its own: the umask may be 0
  }
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return os_fail("make directory", path, errno);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return os_fail("look at", path, errno);
  if (!S_ISDIR(info.st_mode))
    return fail(fmt::format("{} is {}, expected a directory", path, kind_of(info.st_mode)));
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    return fail(fmt::format("directory {} belongs to user {}, expected {}: remove it or choose another", path,
                            info.st_uid, ::geteuid()));
  if (info.st_mode & forbidden)
    return fail(fmt::format("directory {} has mode {:04o}, which lets others in: expected 0700", path,
                            info.st_mode & 07777));
  return {};
}

std::string absolute_path(const std::string& path, const std::string& base) {
  const std::filesystem::path joined = std::filesystem::path(base) / path;
  std::filesystem::path clean;
  for (const auto& part : joined)
    if (part != "." && !part.empty()) clean /= part;
  return clean.string();
}

namespace {

// getcwd() returns the path without symbolic links. $PWD of the shell is the path that the user typed. It is
// used if it names the working directory and, as POSIX demands, contains no "." or "..".
std::string directory_of_the_shell() {
  const char* name = ::getenv("PWD");
  if (!name || name[0] != '/') return "";
  for (const auto& part : std::filesystem::path(name))
    if (part == "." || part == "..") return "";
  struct stat named {
  }, here{};
  const bool same = ::stat(name, &named) == 0 && ::stat(".", &here) == 0 && named.st_dev == here.st_dev &&
                    named.st_ino == here.st_ino;
  return same ? name : "";
}

}  // namespace

std::string current_directory() {
  if (auto name = directory_of_the_shell(); !name.empty()) return absolute_path(name, "/");
  std::error_code failed;
  const auto path = std::filesystem::current_path(failed);
  return failed ? "/" : path.string();
}

}  // namespace liveswap
