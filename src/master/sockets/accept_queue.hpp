#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

#include "master/sockets/sockets.hpp"

// What the kernel reports about connections that no process has accepted yet. Needs no privileges, never
// blocks.
namespace liveswap::master {

// The length of the accept queue of a listening TCP or Unix socket. nullopt: the kernel does not say (Unix
// sockets need unix_diag, which containers may lack).
std::optional<std::size_t> accept_queue(int fd);

// The inode of the file that a Unix socket is bound to. nullopt: none, or the kernel does not say.
std::optional<std::uint64_t> unix_file(int fd);

// Whether the accept queue is not empty. Works on every kernel.
bool has_waiting_connection(int fd);

// The number of waiting connections; if the kernel does not say, 1 for any. -1: no socket, 0.
std::size_t waiting_at(int fd);

// The cookies of pending handshakes at a TCP address: connections in no accept queue yet, but already
// assigned to one listening socket. nullopt: no tcp_diag. Scans the kernel's connection table: about 1 ms.
std::optional<std::set<std::uint64_t>> handshakes_at(const SocketAddress& address);

// The cookies of all TCP or UDP sockets that listen at, or are bound to, this address or an address that
// excludes it. Before Linux 6.8, TCP sockets that are bound but do not listen are missing. nullopt: no
// tcp_diag or udp_diag.
std::optional<std::set<std::uint64_t>> holders_of(const SocketAddress& address, int protocol);

}  // namespace liveswap::master
