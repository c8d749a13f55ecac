#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "systemd/messages.hpp"

// What the service manager has put into the environment (sd_notify(3), sd_listen_fds(3),
// sd_watchdog_enabled(3)).
namespace liveswap::systemd {

// The value of a variable; nullopt: it is not set.
using Lookup = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> variable(const char* name);  // of this process

// Whether a variable ("NAME=value") is meant for the main process alone, not for its children.
bool is_for_main_process(std::string_view entry);

// In a child that takes the place of its parent as the main process: the variables that name the parent name
// this process from now on.
void become_main_process(pid_t parent);

// How often the manager expects WATCHDOG=1 of the process `self`; nullopt: it does not. Pure.
std::optional<Microseconds> watchdog_interval(const Lookup& lookup, pid_t self);

// Descriptors passed to a process: 3, 4, … Pure.
constexpr int first_passed = 3;
struct Passed {
  // One for each descriptor; empty: it has none.
  std::vector<std::string> names;
};
// Of the process `self`: none if the variables are meant for another process.
Result<Passed> passed_descriptors(const Lookup& lookup, pid_t self);

// The name of a descriptor in the manager's store: NAME#NUMBER. `number`: of the socket in its
// SO_REUSEPORT group. A name without a number comes from a socket unit. Pure.
struct StoredName {
  std::string listener;
  unsigned number = 0;
};
std::string stored_name(const StoredName& name);
std::optional<StoredName> parse_stored_name(std::string_view text);

struct PassedSocket {
  std::string name;
  UniqueFd fd;
};
// Takes the descriptors that were passed to this process, close-on-exec, and removes LISTEN_PID, LISTEN_FDS
// and LISTEN_FDNAMES from its environment. Not for programs with several threads: they may read it.
Result<std::vector<PassedSocket>> take_sockets();

}  // namespace liveswap::systemd
