#pragma once

#include <sys/stat.h>

#include <string>

#include "base/unique_fd.hpp"

namespace liveswap::master {

// The file of a Unix socket, by a descriptor (O_PATH). A path may lead elsewhere a moment after bind():
// another user that may write in the directory can put a symbolic link there. A master that is root must not
// give that link's target an owner or a mode.

// The file that bind() has made for `socket` just now, at `path`. Empty, and errno: ENOTSOCK or EEXIST where
// another file is there.
UniqueFd file_of_bound(int socket, const std::string& path);

// The file at `path`, whatever it is; a symbolic link is not followed. Empty, and errno.
UniqueFd file_at(const std::string& path);

// 0, or an errno. `file`: of these.
int set_mode_of(int file, mode_t mode);
int set_owner_of(int file, uid_t user, gid_t group);

}  // namespace liveswap::master
