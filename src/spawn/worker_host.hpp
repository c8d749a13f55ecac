#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"

// The worker host's program and environment.
namespace liveswap::spawn {

// The worker host: `configured` if set; else beside this program or library, in libexec beside them, or
// where it was installed. The error lists the paths tried.
Result<std::string> find_worker_host(const std::string& configured);

// This process' environment without the dynamic loader's variables (LD_*, GLIBC_TUNABLES), plus
// `configured`.
std::vector<std::string> child_environment(const std::map<std::string, std::string>& configured);

// Appends `directory` to LD_LIBRARY_PATH, which the loader searches before RUNPATH. Empty: does nothing.
// The worker host removes the entry before the application runs (worker/load.c).
void add_library_path(std::vector<std::string>& environment, const std::string& directory);

}  // namespace liveswap::spawn
