// Sockets for the tests of listeners.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "base/unique_fd.hpp"

namespace liveswap::test {

inline UniqueFd listen_on(const sockaddr* address, socklen_t size, int type = SOCK_STREAM) {
  UniqueFd fd = UniqueFd::adopt(::socket(address->sa_family, type | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(fd.get(), address, size) == 0);
  if (type != SOCK_DGRAM) REQUIRE(::listen(fd.get(), 16) == 0);
  return fd;
}

inline UniqueFd listen_inet(in_addr_t host = INADDR_LOOPBACK, int type = SOCK_STREAM) {
  sockaddr_in address{};
  address.sin_family = AF_INET, address.sin_addr.s_addr = htonl(host);
  return listen_on(reinterpret_cast<const sockaddr*>(&address), sizeof address, type);
}

// A path; with @ before it, a name of the abstract namespace.
inline UniqueFd listen_unix(const std::string& path, int type = SOCK_STREAM) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const bool is_abstract = path[0] == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  const std::size_t size = offsetof(sockaddr_un, sun_path) + path.size() + (is_abstract ? 0 : 1);
  return listen_on(reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size), type);
}

inline std::uint16_t port_of(const UniqueFd& fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

inline std::uint64_t cookie_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0);
  return cookie;
}

struct Connection {
  // By whatever `listener` is bound to; an address for all is reached by loopback.
  explicit Connection(const UniqueFd& listener) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    if (address.ss_family == AF_INET)
      reinterpret_cast<sockaddr_in*>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client = UniqueFd::adopt(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    server = UniqueFd::adopt(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(server);
  }
  UniqueFd client, server;
};

}  // namespace liveswap::test
