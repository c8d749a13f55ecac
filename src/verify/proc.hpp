#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"

// Information from /proc. Empty for a process that has exited.
namespace liveswap::verify {

// Includes zombies.
std::vector<pid_t> children_of(pid_t pid);

// 'R', 'S', 'T', 'Z', …; 0: no such process.
char state_of(pid_t pid);

std::string name_of(pid_t pid);

// Client ports of connections to `port` that the process has accepted and not closed. An error if the
// descriptors are not accessible.
Result<std::set<std::uint16_t>> clients_of(pid_t pid, std::uint16_t port);

}  // namespace liveswap::verify
