#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace liveswap::master {

// The kernel's tables of sockets: /proc/net/tcp, tcp6 and unix.

// Addresses of listeners: TCP ports, and paths of Unix sockets (abstract names begin with @).
struct ListeningPlaces {
  std::set<std::uint16_t> ports;
  std::set<std::string, std::less<>> paths;

  // Adds the address of a listening socket.
  void add(int fd);
};

// Listening sockets: inode → name of the listener.
using ListeningSockets = std::map<std::uint64_t, std::string>;

// The inode in a line of /proc/net/tcp or /proc/net/unix, if the line is a connection to one of these
// places; else 0.
std::uint64_t inode_in_tcp_line(std::string_view line, const ListeningPlaces& places);
std::uint64_t inode_in_unix_line(std::string_view line, const ListeningPlaces& places);

// Of a line of /proc/net/tcp: a socket that listens at one of the ports; inode 0: the line is another.
struct ListeningLine {
  std::uint64_t inode = 0;
  std::uint16_t port = 0;
};
ListeningLine listening_in_tcp_line(std::string_view line, const ListeningPlaces& places);

}  // namespace liveswap::master
