#pragma once

#include <sys/socket.h>

#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "config/address.hpp"

// Sockets that listen: made, bound, named. Close-on-exec and non-blocking, all that are made here.
namespace liveswap::master {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  bool both_families = false;  // [::] that takes IPv4, too

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Numbers are taken as they are, names are looked up (blocks).
Result<SocketAddress> resolve(const config::Address& address);

// What the socket is bound to, as "127.0.0.1:80" or "[::1]:80".
std::string name_of(int fd);
SocketAddress address_of(int fd);

// A TCP socket that is bound and listens. `reuse_port`: as one of a set. Errors name `object`.
Result<UniqueFd> listen_tcp(const SocketAddress& address, bool reuse_port, int backlog,
                            const std::string& object);

// Fails when somebody else listens there: a set with SO_REUSEPORT would silently join a stranger of the same
// user.
Result<void> probe_tcp(const SocketAddress& address, const std::string& object);

// A Unix socket that listens at a path, where one that nobody listens on any more is replaced. `mode`: of the
// file.
Result<UniqueFd> bind_unix(const std::string& path, mode_t mode, int backlog);

bool is_nonblocking(int fd);
// For whoever has it, for ever.
void end_blocking(int fd);

// From now on no packet finds this TCP or UDP socket: what is sent there goes to whoever else is bound to it,
// or is refused. Nothing that it has is ended, not even a handshake; who polls it sees nothing of it. There
// is no way back (for that the kernel wants CAP_NET_RAW). False when the kernel will not, or a program has
// bound it to a device.
bool withdraw(int fd);

struct UnixListener {
  UniqueFd socket;
  UniqueFd lock;
};

// bind_unix() for the owner of a path. Whoever holds the lock on `<path>.lock` owns the path, so a socket
// that a dead process left behind is taken over and two living ones never meet.
Result<UnixListener> listen_unix(const std::string& path, mode_t mode, int backlog);

}  // namespace liveswap::master
