#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"
#include "master/spawner.hpp"
#include "master/worker_host.hpp"

// What a master finds out about its surroundings once, before it starts. Everything here may block.
namespace liveswap::master {

// CPUs that this process may run on; as many as there may be workers at most.
unsigned usable_cpus();

// `options` with every path absolute, forks counted and the defaults of the instance filled in.
Options settle_options(Options options);

// The environment of workers (master/worker_host.hpp).
std::vector<std::string> worker_environment(const Options& options);

// The user and group that workers run as; nothing when neither is configured.
Result<std::optional<Identity>> find_identity(const std::string& user, const std::string& group);

std::vector<std::pair<int, rlimit>> resource_limits(const std::vector<ResourceLimit>& limits);

// Makes a token for TCP control and writes it to `path`, mode 0600. 64 hex digits.
Result<std::string> make_token(const std::string& path);

}  // namespace liveswap::master
