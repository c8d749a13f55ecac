#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

#include "master/sockets.hpp"

// What the kernel says of connections that no process has accepted yet. Needs no privileges, never blocks.
namespace liveswap::master {

// How many wait in the accept queue of a listening TCP or Unix socket. None when the kernel does not say: for
// a Unix socket that takes its sock_diag (unix_diag), which containers may lack.
std::optional<std::size_t> accept_queue(int fd);

// Whether any wait. Always known.
bool anybody_waits(int fd);

// The handshakes under way at a TCP address, by the kernel's cookies: connections that are in no accept queue
// yet, but already belong to one listening socket. None when the kernel lacks tcp_diag. Looks through the
// kernel's table of connections: about a millisecond.
std::optional<std::set<std::uint64_t>> handshakes_at(const SocketAddress& address);

}  // namespace liveswap::master
