#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"

// Which program a worker is, and what it finds in its environment.
namespace liveswap::master {

// The worker host: as configured, else beside this program or this library, in libexec beside them, or where
// it was installed. The error names the places that were looked at.
Result<std::string> find_worker_host(const std::string& configured);

// The environment of workers: this process' own without what steers the dynamic loader (LD_*,
// GLIBC_TUNABLES), then the configured variables.
std::vector<std::string> child_environment(const std::map<std::string, std::string>& configured);

// Has the loader look in `directory` too, after what the environment says and before a library's own RUNPATH.
// Empty: nothing changes. The worker host takes it out again before the application sees it (worker/load.c).
void add_library_path(std::vector<std::string>& environment, const std::string& directory);

}  // namespace liveswap::master
