#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace liveswap::master {

// Finds in /proc the processes that an ended worker left behind, and their sockets. Such a process may
// still serve a connection of the worker, or accept new ones with old code. Each call takes milliseconds if
// many processes run.

// Addresses of listeners: TCP ports, and paths of Unix sockets (abstract names begin with @).
struct ListeningPlaces {
  std::set<std::uint16_t> ports;
  std::set<std::string, std::less<>> paths;

  // Adds the address of a listening socket.
  void add(int fd);
};

// The file that a process executes.
using Program = std::pair<dev_t, ino_t>;

// What is known of an ended worker besides the pid.
struct Traces {
  ListeningPlaces places;  // connections to these are searched
  Program program = {};
};

struct LeftProcess {
  pid_t pid = 0;
  std::uint64_t started = 0;        // in clock ticks since boot; tells reused pids apart
  std::string program;              // the name
  bool executed = true;             // has executed another program than the worker's
  std::set<std::uint64_t> sockets;  // inodes
};

struct Left {
  std::vector<LeftProcess> processes;
  std::set<std::uint64_t> connections;  // inodes of connections to the places
  std::size_t unreadable = 0;           // processes (also in `processes`) with unreadable descriptors
  std::vector<LeftProcess> orphans;     // processes of unknown workers; the same in every result
};

// What each of these ended, unreaped workers has left: the processes of the worker's process group and
// session; if this process is a child subreaper, also orphans that still hold the worker host's descriptors
// of /proc/<worker>; and the descendants of all of them. An orphan that has executed another program cannot
// be assigned. nullopt: /proc cannot be read now (no free descriptor, for example).
std::optional<std::map<pid_t, Left>> left_by(const std::map<pid_t, Traces>& workers);

// The sockets open in that process now; nullopt: the process has ended, or the pid was reused.
std::optional<std::set<std::uint64_t>> sockets_of(const LeftProcess& process);

// Whether a signal has stopped the process.
bool is_stopped(const LeftProcess& process);

// {}: unknown.
Program program_of(pid_t pid);

// Whether the process has a connection to these places now; true also if that cannot be read.
bool may_have_connection(const LeftProcess& process, const ListeningPlaces& places);

// The inode in a line of /proc/net/tcp or /proc/net/unix, if the line is a connection to one of these
// places; else 0.
std::uint64_t inode_in_tcp_line(std::string_view line, const ListeningPlaces& places);
std::uint64_t inode_in_unix_line(std::string_view line, const ListeningPlaces& places);

}  // namespace liveswap::master
