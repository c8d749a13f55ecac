#pragma once

#include <sys/types.h>

#include <string_view>

namespace liveswap {

// Writes as much of `bytes` as `fd` takes at once, and never waits for a reader: not for that of a pipe, nor
// for a terminal that was stopped. Returns how much it took, or -1 and errno (EAGAIN: nothing now).
//
// A pipe or a terminal is shared with processes that may fill it between a poll() and the write, and its
// O_NONBLOCK would be theirs, too. So it is opened anew for each write. Where that is not allowed (a terminal
// of another user), the write follows a poll(), and can wait when another process is faster.
//
// A file system that does not answer (NFS) holds the caller up: regular files know no write that does not
// wait.
ssize_t write_at_once(int fd, std::string_view bytes);

}  // namespace liveswap
