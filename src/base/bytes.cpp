#include "base/bytes.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace liveswap {

Bytes::Bytes(int fd) : fd_(fd) {
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
    size_ = static_cast<std::uint64_t>(info.st_size);
}

bool Bytes::read(std::uint64_t at, void* to, std::size_t size) const {
  if (!has(at, size)) return false;
  if (fd_ < 0) {
    if (size > 0) std::memcpy(to, text_.data() + at, size);
    return true;
  }
  for (std::size_t filled = 0; filled < size;) {
    const ssize_t n =
        ::pread(fd_, static_cast<char*>(to) + filled, size - filled, static_cast<off_t>(at + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;  // the file has been truncated meanwhile
    filled += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace liveswap
