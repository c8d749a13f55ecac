#include "release/tree/beneath.hpp"

#include <fcntl.h>

#include <algorithm>

namespace liveswap::release {

int Beneath::directory(const std::string& path) {
  if (path.empty()) return top_;
  if (fd_ && path == path_) return fd_.get();
  UniqueFd fd;
  for (std::size_t begin = 0; begin < path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    fd = UniqueFd::adopt(
        ::openat(fd ? fd.get() : top_, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return -1;
    begin = end + 1;
  }
  fd_ = std::move(fd);
  path_ = path;
  return fd_.get();
}

std::string directory_above(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string last_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace liveswap::release
