#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace liveswap::master {

// Connections that the processes of groups have open, as /proc tells it: of a worker that has ended while children which it
// had forked for a connection each still serve. Reads all of /proc: milliseconds where many processes run.

// Where listeners listen: by port of TCP, and by path of a Unix socket (one of the abstract namespace begins with @).
struct ListeningPlaces {
  std::set<std::uint16_t> ports;
  std::set<std::string, std::less<>> paths;

  // Adds what a listening socket is bound to.
  void add(int fd);
};

// How many connections of the places that are given with a group the processes in it have, its leader left out; for each group.
// A process whose descriptors may not be read counts as one.
std::map<pid_t, std::size_t> connections_of_groups(const std::map<pid_t, ListeningPlaces>& groups);

// The inode of a connection that a line of /proc/net/tcp or of /proc/net/unix tells of, where it came to one of these places;
// 0 for any other line.
std::uint64_t inode_in_tcp_line(std::string_view line, const ListeningPlaces& places);
std::uint64_t inode_in_unix_line(std::string_view line, const ListeningPlaces& places);

}  // namespace liveswap::master
