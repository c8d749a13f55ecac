#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "contract/channel.h"
#include "master/sockets/sockets.hpp"

namespace liveswap::master {

class Endpoint;

// The address to which an application binds a socket, as the worker host reports it (struct liveswap_bind).
// Size, domain and type have been checked.
struct BindAddress {
  int domain = 0;
  int type = 0;
  int protocol = 0;  // as in the kernel: TCP, MPTCP, UDP; 0: a Unix socket
  bool v6only = false;
  unsigned umask = 0;
  SocketAddress where;

  // nullopt and the errno for the application: an unsupported family, type or size.
  static std::optional<BindAddress> parse(const std::string& text, int& error);

  bool is_unix() const { return domain == AF_UNIX; }
  bool is_datagram() const { return type == SOCK_DGRAM; }
  // The kernel chooses the port or the Unix socket's name.
  bool is_unnamed() const;
  std::uint16_t port() const;  // 0: a Unix socket
  std::string path() const;    // of a Unix socket; an abstract name begins with NUL
  // False: too long, nothing has changed.
  bool set_path(const std::string& path);
  // "127.0.0.1:80", "udp:[::1]:53", "unix:/path", "unix:@name"
  std::string text() const;
  // Whether the kernel refuses to bind both. A specific address and the wildcard may be compatible.
  bool excludes(const BindAddress& other) const;
  // Equal, except for a port that the kernel chose.
  bool same(const BindAddress& other) const;
};

// 0: `fd` is a new socket of the kind of `wanted`, neither bound nor connected nor listening. Else an errno
// for the application, or LIVESWAP_STAYS_OWN.
int check_fresh(int fd, const BindAddress& wanted);

// SO_COOKIE: the kernel's number of a socket, never reused; 0: unknown.
std::uint64_t cookie_of(int fd);

// Whether the socket listens and has not been shut down.
bool listens(int fd);

// Whether the socket was shut down. On a Unix listener, listen() does not undo that.
bool is_shut_down(int fd);

// Whether a Unix socket's path, however written, leads to the endpoint's file: "/run/./app.sock",
// "/run//app.sock".
bool leads_to(const BindAddress& address, const Endpoint& endpoint);

// The socket's address, with the port that the kernel chose.
BindAddress bound_address(int fd, const BindAddress& wanted);

}  // namespace liveswap::master
