#include "master/sockets/bound_file.hpp"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace liveswap::master {
namespace {

// SIOCUNIXFILE of <linux/un.h>, which cannot be included beside <sys/un.h>.
constexpr unsigned long siocunixfile = SIOCPROTOPRIVATE;

}  // namespace

UniqueFd file_at(const std::string& path) {
  return UniqueFd::adopt(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

// With CAP_NET_ADMIN (usually not in containers) the kernel hands out the file. Without it, the file at
// `path` is taken only if that is a socket with one link: neither a link to another file nor a socket bound
// elsewhere.
UniqueFd file_of_bound(int socket, const std::string& path) {
  if (auto file = UniqueFd::adopt(::ioctl(socket, siocunixfile, nullptr))) return file;
  auto file = file_at(path);
  struct stat found {};
  if (!file || ::fstat(file.get(), &found) != 0) return {};
  const bool is_socket = S_ISSOCK(found.st_mode);
  if (is_socket && found.st_nlink <= 1) return file;
  errno = is_socket ? EEXIST : ENOTSOCK;
  return {};
}

// fchmod() refuses O_PATH descriptors.
int set_mode_of(int file, mode_t mode) {
  return ::chmod(("/proc/self/fd/" + std::to_string(file)).c_str(), mode) == 0 ? 0 : errno;
}

int set_owner_of(int file, uid_t user, gid_t group) {
  return ::fchownat(file, "", user, group, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

}  // namespace liveswap::master
