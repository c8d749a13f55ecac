#include "master/sockets/bound_file.hpp"

#include <fcntl.h>
#include <linux/un.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace liveswap::master {

UniqueFd file_at(const std::string& path) {
  return UniqueFd::adopt(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

// The kernel tells the file to processes with CAP_NET_ADMIN, which root has outside of most containers.
// Without it: a socket that has no other name. So no other file's link can be taken for it, and no socket
// that lives elsewhere, too.
UniqueFd file_of_bound(int socket, const std::string& path) {
  if (auto file = UniqueFd::adopt(::ioctl(socket, SIOCUNIXFILE, nullptr))) return file;
  auto file = file_at(path);
  struct stat found {};
  if (!file || ::fstat(file.get(), &found) != 0) return {};
  const bool is_socket = S_ISSOCK(found.st_mode);
  if (is_socket && found.st_nlink <= 1) return file;
  errno = is_socket ? EEXIST : ENOTSOCK;
  return {};
}

// fchmod() refuses such a descriptor.
int set_mode_of(int file, mode_t mode) {
  return ::chmod(("/proc/self/fd/" + std::to_string(file)).c_str(), mode) == 0 ? 0 : errno;
}

int set_owner_of(int file, uid_t user, gid_t group) {
  return ::fchownat(file, "", user, group, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

}  // namespace liveswap::master
