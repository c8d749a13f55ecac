#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"
#include "master/spawner.hpp"

// What a master finds out about its surroundings once, before it starts. Everything here may block.
namespace liveswap::master {

// `options` with every path absolute, forks counted and the defaults of the instance filled in.
Options settle_options(Options options);

// The worker host: as configured, else beside this program or this library, in libexec beside them, or where it was
// installed. The error names the places that were looked at.
Result<std::string> find_worker_host(const std::string& configured);

// The environment of workers: this process' own without what steers the dynamic loader (LD_*, GLIBC_TUNABLES), then
// the configured variables.
std::vector<std::string> worker_environment(const Options& options);

// The user and group that workers run as; nothing when neither is configured.
Result<std::optional<Identity>> find_identity(const std::string& user, const std::string& group);

std::vector<std::pair<int, rlimit>> resource_limits(const std::vector<ResourceLimit>& limits);

// Makes a token for TCP control and writes it to `path`, mode 0600. 64 hex digits.
Result<std::string> make_token(const std::string& path);

}  // namespace liveswap::master
