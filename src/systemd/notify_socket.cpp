#include "systemd/notify_socket.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace liveswap::systemd {
namespace {

bool is_usable_address(const std::string& address) {
  return address.size() > 1 && address.size() < sizeof(sockaddr_un::sun_path) &&
         (address.front() == '/' || address.front() == '@');
}

struct UnixAddress {
  sockaddr_un bytes{};
  socklen_t size = 0;
};

UnixAddress unix_address(const std::string& text) {
  UnixAddress found;
  found.bytes.sun_family = AF_UNIX;
  text.copy(found.bytes.sun_path, text.size());
  const bool is_abstract = text.front() == '@';
  if (is_abstract) found.bytes.sun_path[0] = '\0';
  // The size ends an abstract name, a NUL a path.
  found.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (is_abstract ? 0 : 1));
  return found;
}

// The space of one descriptor in a control message.
union Control {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

void attach(msghdr& message, Control& control, int fd) {
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
}

}  // namespace

Result<NotifySocket> NotifySocket::open(const std::string& address) {
  if (!is_usable_address(address))
    return fail(
        fmt::format("NOTIFY_SOCKET: found \"{}\", expected an absolute path or an abstract name "
                    "(@name) of at most {} bytes",
                    address, sizeof(sockaddr_un::sun_path) - 1));
  auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return os_fail("make a socket for", address, errno);
  return NotifySocket(std::move(fd), address);
}

// By name each time: a manager that is executed anew may bind another socket there.
int NotifySocket::send(const std::string& text, int fd) const {
  UnixAddress to = unix_address(address_);
  iovec part{const_cast<char*>(text.data()), text.size()};
  Control control{};
  msghdr message{};
  message.msg_name = &to.bytes;
  message.msg_namelen = to.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) attach(message, control, fd);
  return ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ? 0 : errno;
}

}  // namespace liveswap::systemd
