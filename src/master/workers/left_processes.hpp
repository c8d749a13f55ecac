#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "master/workers/socket_tables.hpp"

namespace liveswap::master {

// Finds in /proc the processes that an ended worker left behind, and their sockets. Such a process may
// still serve a connection of the worker, or accept new ones with old code. Each call takes milliseconds if
// many processes run.

// The file that a process executes.
using Program = std::pair<dev_t, ino_t>;

// What is known of an ended worker besides the pid.
struct Traces {
  ListeningPlaces places;  // connections to these, and sockets that listen there, are searched
  Program program = {};
  std::string cgroup = {};  // the worker's own (cgroups.hpp); empty: none
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
  ListeningSockets listening;           // that listen at the ports of the places, as "port 80"
  std::size_t unreadable = 0;           // processes (also in `processes`) with unreadable descriptors
  std::vector<LeftProcess> orphans;     // processes of unknown workers; the same in every result
};

// What each of these ended workers has left: the processes of the worker's cgroup, process group
// and session; if this process is a child subreaper, also orphans that still hold the worker host's
// descriptors of /proc/<worker>; and the descendants of all of them. Without cgroups an orphan that has
// executed another program cannot be assigned. nullopt: /proc cannot be read now (no free descriptor, for
// example).
std::optional<std::map<pid_t, Left>> left_by(const std::map<pid_t, Traces>& workers);

// The sockets open in that process now; nullopt: the process has ended, or the pid was reused.
std::optional<std::set<std::uint64_t>> sockets_of(const LeftProcess& process);

// Whether a signal has stopped the process.
bool is_stopped(const LeftProcess& process);

// {}: unknown.
Program program_of(pid_t pid);

// Whether the process has a connection to these places now; true also if that cannot be read.
bool may_have_connection(const LeftProcess& process, const ListeningPlaces& places);

}  // namespace liveswap::master
