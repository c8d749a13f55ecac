#pragma once

#include <sys/types.h>

#include <optional>

#include "base/error.hpp"
#include "master/workers/worker_process.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// The user that a root master becomes (spawn/fs_identity.hpp) for the request of a frame. nullopt: no change
// needed. An error: refuse the request.
//
// The kernel's credentials describe the sender at that time, /proc the worker now. Neither suffices: a
// child of the worker may use the channel, and a worker that has dropped root becomes root again by
// executing a set-uid program. So root counts only if both say so for the worker. Rights dropped
// temporarily (seteuid) are dropped here too. Supplementary groups come from the worker only.
Result<std::optional<spawn::Identity>> identity_of(pid_t worker, const Sender& sender);

// An error if the process has another root directory than this one, as far as that can be read, or has
// exited.
Result<void> check_root_of(pid_t pid);

}  // namespace liveswap::master
