#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "config/address.hpp"

// Makes, binds and names listening sockets. All are close-on-exec and non-blocking.
namespace liveswap::master {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  bool both_families = false;  // [::] that also takes IPv4

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  // The following three are for internet addresses.
  std::uint16_t port() const;
  bool is_any() const;
  // Whether the host is the same; both addresses have the same family.
  bool same_host(const SocketAddress& other) const;
  // "127.0.0.1:80", "[::1]:80"
  std::string text() const;
};

// An option whose value is an int; -1: it cannot be read.
int socket_option(int fd, int level, int name);

// Host names are looked up, which blocks.
Result<SocketAddress> resolve(const config::Address& address);

// 0: `fd` is no socket.
std::uint64_t socket_inode(int fd);

// The address that the socket is bound to.
SocketAddress address_of(int fd);

// A bound, listening TCP socket. `reuse_port`: as a member of a SO_REUSEPORT group. Errors name `object`.
Result<UniqueFd> listen_tcp(const SocketAddress& address, bool reuse_port, int backlog,
                            const std::string& object);

// Fails if another process listens there: with SO_REUSEPORT a set would silently join another program of
// the same user.
Result<void> probe_tcp(const SocketAddress& address, const std::string& object);

// A Unix socket that listens at a path; replaces a stale one. `mode`: of the file.
Result<UniqueFd> bind_unix(const std::string& path, mode_t mode, int backlog);

bool is_nonblocking(int fd);
// Affects all processes that share the socket.
void end_blocking(int fd);

// Makes this TCP or UDP socket unreachable but not closed: new packets go to other sockets at the address,
// or are refused. Existing connections and pending handshakes go on, and pollers notice nothing.
// Irreversible (that would need CAP_NET_RAW). False: the kernel refuses, or the socket is bound to a
// device.
bool withdraw(int fd);

// Drops the first packet (SYN) of each new connection to this listening TCP socket, or no longer does.
// Clients repeat that packet, after a second at first. The accept queue and pending handshakes are not
// affected.
void hold_first_packets(int fd, bool hold);

// A lock on `<path>.lock`, see listen_unix().
Result<UniqueFd> lock_unix(const std::string& path);
// Ends the lock, also if liveswap-keeper still has a copy of the descriptor: to close this one would not.
void unlock_unix(UniqueFd lock);

struct UnixListener {
  UniqueFd socket;
  UniqueFd lock;
};

// As bind_unix(), after taking a lock on `<path>.lock`. Only the lock's holder uses the path, so two living
// masters never share one, and a stale socket can be replaced.
Result<UnixListener> listen_unix(const std::string& path, mode_t mode, int backlog);

}  // namespace liveswap::master
