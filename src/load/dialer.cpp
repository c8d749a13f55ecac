#include "load/dialer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace liveswap::load {
namespace {

// Not 127.0.0.1: see is_connected_to_itself().
constexpr std::uint32_t first_source = INADDR_LOOPBACK + 1;

bool is_loopback_v4(const Target& target) {
  if (target.family() != AF_INET) return false;
  sockaddr_in address{};
  std::memcpy(&address, &target.address, sizeof address);
  return ntohl(address.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

}  // namespace

Dialer::Dialer(const Target& target, unsigned sources)
    : target_(target), sources_(is_loopback_v4(target) ? sources : 0) {}

bool Dialer::bind_source(int fd) {
  const int on = 1;
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(first_source + turn_++ % sources_);
  // connect() chooses the port, which must be free only for this target.
  return ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
         ::bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0;
}

Dialed Dialer::dial() {
  auto fd = UniqueFd::adopt(::socket(target_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || (sources_ > 0 && !bind_source(fd.get()))) return {{}, false, errno};
  const auto* address = reinterpret_cast<const sockaddr*>(&target_.address);
  if (::connect(fd.get(), address, target_.address_size) == 0) return {std::move(fd), true, 0};
  if (errno != EINPROGRESS) return {{}, false, errno};
  return {std::move(fd), false, 0};
}

std::uint16_t local_port(int fd) {
  sockaddr_storage here{};
  socklen_t size = sizeof here;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&here), &size) != 0) return 0;
  if (here.ss_family != AF_INET && here.ss_family != AF_INET6) return 0;
  // sockaddr_in6 has the port at the same offset.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&here)->sin_port);
}

bool is_connected_to_itself(int fd) {
  sockaddr_storage here{}, there{};
  socklen_t here_size = sizeof here, there_size = sizeof there;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&here), &here_size) != 0) return false;
  if (here.ss_family != AF_INET && here.ss_family != AF_INET6) return false;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&there), &there_size) != 0) return false;
  return here_size == there_size && std::memcmp(&here, &there, here_size) == 0;
}

}  // namespace liveswap::load
