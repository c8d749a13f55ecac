#pragma once

#include <sys/types.h>

#include <string_view>

namespace liveswap {

// Writes as many of `bytes` as `fd` takes at once. Never waits for the reader of a pipe or for a stopped
// terminal. Returns the number of bytes written, or -1 and errno (EAGAIN: nothing now).
//
// Other processes share a pipe or terminal: they may fill it between poll() and write(), and O_NONBLOCK would
// change their descriptor too. So each call opens the pipe or terminal again. If that is not permitted
// (another user's terminal), the write follows a poll() and may still block in that race.
//
// Writes to regular files block while the file system does not answer (NFS).
ssize_t write_at_once(int fd, std::string_view bytes);

}  // namespace liveswap
