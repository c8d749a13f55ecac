#pragma once

#include <functional>

#include "liveswap.hpp"

namespace liveswap::cli {

// Runs a master in a child process, and starts it again when it is killed or crashes: the new one takes over
// the workers. Ends when the master ends by itself, with its outcome. Passes the signals that a master obeys
// on to the master. No threads may exist.
Outcome supervise(const Options& options, const std::function<Outcome(const Options&)>& run);

}  // namespace liveswap::cli
