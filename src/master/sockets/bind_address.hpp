#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "contract/channel.h"
#include "master/sockets/sockets.hpp"

namespace liveswap::master {

class Endpoint;

// What an application wants to bind a socket of its own to, as a worker host says it (struct liveswap_bind):
// its sizes, its domain and its kind have been checked.
struct BindAddress {
  int domain = 0;
  int type = 0;
  int protocol = 0;  // as the kernel has it: TCP, MPTCP, UDP; 0 of a Unix socket
  bool v6only = false;
  unsigned umask = 0;
  SocketAddress where;

  // None, and the errno that the application gets for it: a family, kind or size that cannot be taken over.
  static std::optional<BindAddress> parse(const std::string& text, int& error);

  bool is_unix() const { return domain == AF_UNIX; }
  bool is_datagram() const { return type == SOCK_DGRAM; }
  // The kernel chooses: port 0, or a Unix socket without a name.
  bool is_unnamed() const;
  std::uint16_t port() const;  // 0 of a Unix socket
  std::string path() const;    // of a Unix socket; one in the abstract namespace begins with a NUL
  // False, and nothing has changed: it is too long.
  bool set_path(const std::string& path);
  // "127.0.0.1:80", "udp:[::1]:53", "unix:/path", "unix:@name"
  std::string text() const;
  // Whether the kernel would let one process have both: not where one address is within the other.
  bool excludes(const BindAddress& other) const;
  // The same endpoint, but for a port that the kernel chooses.
  bool same(const BindAddress& other) const;
};

// 0 when `fd` is a fresh socket of the kind that `wanted` says: neither bound nor connected nor listening.
// Else the errno for the application, or LIVESWAP_STAYS_OWN.
int check_fresh(int fd, const BindAddress& wanted);

// SO_COOKIE: the kernel's name of a socket, never used twice; 0 when it does not say.
std::uint64_t cookie_of(int fd);

// Whether it listens, and has not been shut down.
bool listens(int fd);

// Of a Unix listener, for which listen() does not undo it.
bool is_shut_down(int fd);

// Whether a Unix socket's path leads to the endpoint's file, by whatever way: "/run/./app.sock",
// "/run//app.sock".
bool leads_to(const BindAddress& address, const Endpoint& endpoint);

// What it is bound to, with the port that the kernel chose.
BindAddress bound_address(int fd, const BindAddress& wanted);

}  // namespace liveswap::master
