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

// Processes that a worker which has ended has left behind, and the sockets that they have open, as /proc
// tells it. Such a process may still serve a connection, for which the worker had forked it; and it may
// accept new ones with the old code. All of this reads /proc: milliseconds where many processes run.

// Where listeners listen: by port of TCP, and by path of a Unix socket (one of the abstract namespace begins
// with @).
struct ListeningPlaces {
  std::set<std::uint16_t> ports;
  std::set<std::string, std::less<>> paths;

  // Adds what a listening socket is bound to.
  void add(int fd);
};

// What is asked about an ended worker. Its processes are known by its number: see left_by().
struct Traces {
  ListeningPlaces places;                // whose connections are looked for
  std::pair<dev_t, ino_t> program = {};  // the file that the worker has executed
};

struct LeftProcess {
  pid_t pid = 0;
  std::uint64_t started = 0;        // clock ticks since boot: tells it from a later process with this number
  std::string program;              // the name of what it runs
  bool executed = true;             // it runs a program of its own: not what the worker had executed
  std::set<std::uint64_t> sockets;  // inodes
};

struct Left {
  std::vector<LeftProcess> processes;
  std::set<std::uint64_t> connections;  // inodes: of the places
  std::size_t unreadable = 0;  // processes whose descriptors may not be read; they are among `processes`
  std::vector<LeftProcess> orphans;  // of a worker that nobody can tell any more: the same for all
};

// What each of these ended workers, which are not reaped yet, has left. Found are: all of the worker's
// process group and session; where this process is a child subreaper, also other orphans of the worker that
// it has forked (they have the worker host's descriptors of /proc/<worker>); and the descendants of both. An
// orphan that has executed another program has no mark of its worker. Nothing: /proc cannot be read now, as
// no descriptor is left, say.
std::optional<std::map<pid_t, Left>> left_by(const std::map<pid_t, Traces>& workers);

// What that process has open now; nothing when it has ended, or another one has its number since.
std::optional<std::set<std::uint64_t>> sockets_of(const LeftProcess& process);

// Whether it is stopped by a signal.
bool is_stopped(const LeftProcess& process);

// Whether it runs what that worker has executed.
bool runs(const LeftProcess& process, const Traces& traces);

// Whether it has a connection of these places now; also where that cannot be seen.
bool may_have_connection(const LeftProcess& process, const ListeningPlaces& places);

// The kernel's number of a socket that this process has open; 0: it is none.
std::uint64_t socket_inode(int fd);

// The inode of a connection that a line of /proc/net/tcp or of /proc/net/unix tells of, where it came to one
// of these places; 0 for any other line.
std::uint64_t inode_in_tcp_line(std::string_view line, const ListeningPlaces& places);
std::uint64_t inode_in_unix_line(std::string_view line, const ListeningPlaces& places);

}  // namespace liveswap::master
