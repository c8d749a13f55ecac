#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

// How one image of the program hands over to the next one: by execve(), with the state in a memory file whose
// descriptor is named in the environment.
namespace liveswap::master::state {

// The variable of the environment: "STATE" or "STATE:FORMER", numbers of descriptors. FORMER is the program
// that has written the state: the next one executes it again if it cannot go on.
inline constexpr const char* variable = "LIVESWAP_STATE";
// Set beside it by a program that could not go on: why.
inline constexpr const char* failure_variable = "LIVESWAP_STATE_FAILURE";

// What `--read-state` writes to standard error if this program can go on with the state.
inline constexpr const char* is_readable = "liveswap can go on with this state";

// The path of this program, as it was installed: also if the file has been replaced since.
Result<std::string> own_path();
// Whether the file may be executed in place of this program: a regular, executable file, and if this process
// is privileged, of root, and writable by no one else.
Result<void> check_program(const std::string& path);

struct Execution {
  std::string program;
  std::vector<std::string> arguments;
  int state;                // borrowed
  std::vector<int> handed;  // descriptors that the next image gets; borrowed
};
// Executes the program in this process. Returns only on failure: then everything is as it was. Signals are
// blocked until release_signals() in the next image, so that none ends it before it handles them.
Error execute(const Execution& wanted);

// In the next image: what execute() has passed on. nullopt: this process was started as usual. Removes the
// variables from the environment.
struct Inherited {
  UniqueFd state;
  UniqueFd former;
  std::string failure;
};
std::optional<Inherited> inherited();
// Executes the former program again, with the same state. Returns only on failure.
void go_back(const Inherited& from, const std::vector<std::string>& arguments, const std::string& failure);
// Closes these descriptors in children again.
void keep_from_children(const std::vector<int>& fds);
// Signals that a master obeys stay pending from now on. execute() blocks them too.
void block_signals();
void release_signals();

}  // namespace liveswap::master::state
