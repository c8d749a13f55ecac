#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"
#include "spawn/spawner.hpp"

// Reads from the system what a master needs once, before the start. All functions may block.
namespace liveswap::master {

// The number of CPUs that this process may run on, at most config::forks_limit.
unsigned usable_cpus();

// Returns `options` with absolute paths, with a number for `forks auto`, and with the instance's default
// directories.
Options settle_options(Options options);

std::vector<std::pair<int, rlimit>> resource_limits(const std::vector<ResourceLimit>& limits);

// The secret that a command over TCP must contain.
struct Token {
  std::string text;      // 64 hex digits
  Result<void> written;  // if this is an error (full disk), no client can read the token
};

// Makes a token and writes it to `path`, mode 0600.
Result<Token> make_token(const std::string& path);

}  // namespace liveswap::master
