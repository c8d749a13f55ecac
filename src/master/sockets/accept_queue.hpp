#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

#include "master/sockets/sockets.hpp"

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

// The sockets that listen at the address of a TCP or UDP socket, or are bound to it, or to one that excludes
// it; by their cookies. Not those that the kernel does not show: bound and not listening, before Linux 6.8.
// None when it shows none at all (tcp_diag, udp_diag).
std::optional<std::set<std::uint64_t>> holders_of(const SocketAddress& address, int protocol);

}  // namespace liveswap::master
