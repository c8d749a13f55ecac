#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"

// What /proc says about processes. Something that has gone is as if it had never been.
namespace liveswap::verify {

// Zombies count.
std::vector<pid_t> children_of(pid_t pid);

// 'R', 'S', 'T', 'Z', …; 0 when there is no such process.
char state_of(pid_t pid);

std::string name_of(pid_t pid);

// The ports of the clients whose connections to `port` the process has accepted and not closed. An error when
// its descriptors may not be looked at.
Result<std::set<std::uint16_t>> clients_of(pid_t pid, std::uint16_t port);

}  // namespace liveswap::verify
