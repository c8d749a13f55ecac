#pragma once

#include <sys/stat.h>

#include <string>

#include "base/unique_fd.hpp"

namespace liveswap::master {

// The file of a Unix socket as an O_PATH descriptor. After bind() another user with write access to the
// directory can replace the path by a symbolic link; a root master must not change that link's target.

// The file that bind() has just made for `socket` at `path`. Empty and errno; ENOTSOCK or EEXIST: another
// file is there.
UniqueFd file_of_bound(int socket, const std::string& path);

// The file at `path` of any type; a symbolic link is not followed. Empty and errno.
UniqueFd file_at(const std::string& path);

// 0 or an errno. `file`: from one of the two functions above.
int set_mode_of(int file, mode_t mode);
int set_owner_of(int file, uid_t user, gid_t group);

}  // namespace liveswap::master
