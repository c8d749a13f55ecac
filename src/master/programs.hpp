#pragma once

#include <sys/resource.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "liveswap.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// The programs that a master starts, and as whom. `output`: the descriptor of the log; -1: standard output
// and error.
struct Programs {
  std::string worker_host;
  std::string keeper;  // empty: there is none
  spawn::Request store;
  std::optional<spawn::Identity> identity;  // of workers
  int output = -1;
};
// Blocks: looks at files and at the user database.
tl::expected<Programs, Outcome> find_programs(const Options& options, int output);

// How to start a worker. `files`: RLIMIT_NOFILE of workers.
spawn::Request worker_request(const Options& options, const Programs& programs, const rlimit& files);

// Completes the commands in texts for people by the options that reach this master
// (protocol/command_line.hpp).
std::function<std::string(std::string_view)> completion_for(const Options& options);

}  // namespace liveswap::master
