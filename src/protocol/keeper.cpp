#include "protocol/keeper.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace liveswap::protocol {
namespace {

constexpr std::size_t control_size = CMSG_SPACE(LIVESWAP_KEEPER_DESCRIPTORS_MAX * sizeof(int));

void take_descriptors(msghdr& message, KeeperFrame& frame) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      frame.descriptors.push_back(UniqueFd::adopt(fd));
    }
  }
  frame.cut = (message.msg_flags & MSG_CTRUNC) != 0;
}

}  // namespace

Result<UniqueFd> connect_keeper(const std::string& state_dir) {
  const std::string path = state_dir + "/" LIVESWAP_KEEPER_SOCKET;
  const auto directory = UniqueFd::adopt(::open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat file {};
  if (!directory || ::fstatat(directory.get(), LIVESWAP_KEEPER_SOCKET, &file, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return UniqueFd();
    return os_fail("look at", path, errno);
  }
  if (!S_ISSOCK(file.st_mode)) return fail(path + " is no socket");
  if (file.st_uid != ::geteuid())
    return fail(fmt::format("{} belongs to user {}, expected {}", path, file.st_uid, ::geteuid()));
  // The path of a state directory may be longer than a socket's address.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  fmt::format_to_n(address.sun_path, sizeof address.sun_path - 1, "/proc/self/fd/{}/" LIVESWAP_KEEPER_SOCKET,
                   directory.get());
  auto link = UniqueFd::adopt(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const timeval limit{3, 0};
  if (!link || ::setsockopt(link.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      ::setsockopt(link.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
    return os_fail("make a socket for", path, errno);
  if (::connect(link.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    // The keeper has gone, or goes in this moment.
    if (errno == ECONNREFUSED || errno == ENOENT) return UniqueFd();
    return os_fail("connect to", path, errno);
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(link.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != ::geteuid())
    return fail(fmt::format("{} is served by user {}, expected {}", path, peer.uid, ::geteuid()));
  return link;
}

std::optional<KeeperFrame> receive_from_keeper(int link, bool blocking, bool& gone) {
  KeeperFrame frame;
  frame.text.resize(LIVESWAP_KEEPER_TEXT_MAX);
  alignas(cmsghdr) char control[control_size];
  iovec parts[2] = {{&frame.head, sizeof frame.head}, {frame.text.data(), frame.text.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = 0;
  do size = ::recvmsg(link, &message, MSG_CMSG_CLOEXEC | (blocking ? 0 : MSG_DONTWAIT));
  while (size < 0 && errno == EINTR);
  gone = size == 0 || (size < 0 && errno != EAGAIN && errno != ENOMEM && errno != ENOBUFS);
  if (size <= 0) return std::nullopt;
  take_descriptors(message, frame);
  if (static_cast<std::size_t>(size) < sizeof frame.head || (message.msg_flags & MSG_TRUNC) != 0)
    return KeeperFrame{};
  frame.text.resize(static_cast<std::size_t>(size) - sizeof frame.head);
  return frame;
}

bool send_to_keeper(int link, const liveswap_keeper_frame& head, const std::string& text, const int* fds,
                    std::size_t count) {
  alignas(cmsghdr) char control[control_size] = {};
  iovec parts[2] = {{const_cast<liveswap_keeper_frame*>(&head), sizeof head},
                    {const_cast<char*>(text.data()), text.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = text.empty() ? 1 : 2;
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(part), fds, count * sizeof(int));
  }
  return ::sendmsg(link, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

}  // namespace liveswap::protocol
