#pragma once

#include <sys/types.h>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"
#include "spawn/spawner.hpp"
#include "spawn/worker_host.hpp"

// What a master finds out about its surroundings once, before it starts. Everything here may block.
namespace liveswap::master {

// CPUs that this process may run on; as many as there may be workers at most.
unsigned usable_cpus();

// `options` with every path absolute, forks counted and the defaults of the instance filled in.
Options settle_options(Options options);

// The environment of workers (spawn/worker_host.hpp).
std::vector<std::string> worker_environment(const Options& options);

// The user and group that workers run as; nothing when neither is configured.
Result<std::optional<Identity>> find_identity(const std::string& user, const std::string& group);

std::vector<std::pair<int, rlimit>> resource_limits(const std::vector<ResourceLimit>& limits);

// What a command over TCP has to show.
struct Token {
  std::string text;      // 64 hex digits
  Result<void> written;  // where it failed (a full disk), no client can know the token
};

// Makes a token and writes it to `path`, mode 0600.
Result<Token> make_token(const std::string& path);

}  // namespace liveswap::master
