#include "release/copy.hpp"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "release/disk.hpp"

namespace liveswap::release {
namespace {

constexpr std::uint64_t copy_piece = std::uint64_t{1} << 20;

// The result of one way.
enum class Tried { done, unsupported };

// Whether errno means that the call is not supported here, rather than that the disk is full or broken.
bool is_unsupported(int number) {
  return number == EXDEV || number == EINVAL || number == ENOSYS || number == EOPNOTSUPP ||
         number == ENOTTY || number == EPERM || number == EBADF;
}

Result<Tried> by_range(int from, int to, std::uint64_t size, const std::string& shown) {
  loff_t read_at = 0;
  loff_t write_at = 0;
  while (static_cast<std::uint64_t>(read_at) < size) {
    const std::uint64_t left = size - static_cast<std::uint64_t>(read_at);
    const ssize_t n = ::copy_file_range(from, &read_at, to, &write_at, std::min(left, 64 * copy_piece), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && is_unsupported(errno)) return Tried::unsupported;
    if (n < 0) return disk_fail("write", shown, errno);
    // Some file systems return 0 instead of an error; the next way reveals the real state.
    if (n == 0) return Tried::unsupported;
  }
  return Tried::done;
}

Result<void> write_at(int to, const char* bytes, std::size_t size, off_t at, const std::string& shown) {
  while (size > 0) {
    const ssize_t n = ::pwrite(to, bytes, size, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return disk_fail("write", shown, errno);
    bytes += n;
    size -= static_cast<std::size_t>(n);
    at += n;
  }
  return {};
}

Result<void> by_bytes(int from, int to, std::uint64_t size, const std::string& shown) {
  std::vector<char> bytes(copy_piece);
  for (std::uint64_t at = 0; at < size;) {
    const ssize_t n =
        ::pread(from, bytes.data(), std::min<std::uint64_t>(copy_piece, size - at), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_fail("read what is copied to", shown, errno);
    if (n == 0) return {};
    if (auto written = write_at(to, bytes.data(), static_cast<std::size_t>(n), static_cast<off_t>(at), shown);
        !written)
      return written;
    at += static_cast<std::uint64_t>(n);
  }
  return {};
}

}  // namespace

const char* word(CopyWay way) {
  switch (way) {
    case CopyWay::reflink: return "reflink";
    case CopyWay::range: return "copy_file_range";
    case CopyWay::bytes: return "read and write";
  }
  return "";
}

Result<CopyWay> copy_bytes(int from, int to, std::uint64_t size, const std::string& shown, CopyWay first) {
  if (first == CopyWay::reflink && ::ioctl(to, FICLONE, from) == 0) return CopyWay::reflink;
  if (first != CopyWay::bytes) {
    const auto tried = by_range(from, to, size, shown);
    if (!tried) return tl::unexpected<Error>(tried.error());
    if (*tried == Tried::done) return CopyWay::range;
  }
  if (auto copied = by_bytes(from, to, size, shown); !copied) return tl::unexpected<Error>(copied.error());
  return CopyWay::bytes;
}

}  // namespace liveswap::release
