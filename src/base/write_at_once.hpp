#pragma once

#include <sys/types.h>

#include <string_view>

namespace liveswap {

// Writes as many of `bytes` as `fd` takes at once. Never waits for the reader of a pipe or for a stopped
// terminal. Returns the number of bytes written, or -1 and errno (EAGAIN: nothing now).
//
// Other processes share a pipe or terminal. They may fill it between a poll() and a write() of this process,
// and they share its open file description, so O_NONBLOCK would apply to their descriptors too. Each call
// therefore opens the pipe or terminal again with O_NONBLOCK. If that is not permitted (another user's
// terminal), it polls, then writes; this write() blocks if another process fills the terminal in between.
//
// Writes to regular files block while the file system does not answer (NFS).
ssize_t write_at_once(int fd, std::string_view bytes);

}  // namespace liveswap
