#include "release/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace liveswap::release {

tl::unexpected<Error> disk_fail(const std::string& operation, const std::string& object, int number) {
  auto error = os_error(operation, object, number);
  if (number == ENOSPC || number == EDQUOT)
    error.text += ": make room there (`keep-releases` says how many old releases stay) and try again";
  return tl::unexpected<Error>(std::move(error));
}

Result<UniqueFd> open_directory(const std::string& path) {
  auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return os_fail("open directory", path, errno);
  return fd;
}

Result<void> make_directory(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST) return {};
    return disk_fail("make directory", path, errno);
  }
  if (::chmod(path.c_str(), mode) != 0) return disk_fail("set the mode of", path, errno);
  return sync_directory(std::filesystem::path(path).parent_path().string());
}

Result<void> sync_directory(const std::string& path) {
  const auto directory = open_directory(path);
  if (!directory) return tl::unexpected<Error>(directory.error());
  // EINVAL: this file system does not support fsync() here.
  if (::fsync(directory->get()) != 0 && errno != EINVAL) return disk_fail("sync directory", path, errno);
  return {};
}

}  // namespace liveswap::release
