#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "release/source.hpp"
#include "release/tree/entry.hpp"
#include "release/tree/ignore_rules.hpp"

namespace liveswap::release {

// Lists a directory with everything below it. Follows no symbolic link and opens nothing but directories, so
// it waits for no FIFO and no device. The names may be hostile.

// Limits of a tree. A larger one is a mistake, or an attempt to fill the disk.
inline constexpr std::size_t tree_entries_limit = 100'000;
inline constexpr std::uint64_t tree_bytes_limit = Source::size_limit;  // 4 GiB
inline constexpr std::size_t tree_depth_limit = 100;                   // nested directories
inline constexpr std::size_t tree_path_limit = 2048;                   // bytes of a relative path

struct ListError : Error {
  int number = 0;  // errno; 0: something in the tree is not allowed
};
using Listed = tl::expected<std::vector<TreeEntry>, ListError>;  // sorted by path; first the tree itself

// Lists a directory that is to become a release: without what `rules` leave out, and with the permissions
// that the copies get. An error names the first entry that is not allowed: a socket, FIFO or device; a link
// that leads out; a name with a line break; what `trust` forbids; more than a limit. `directory`: borrowed;
// `shown`: its path in errors.
Listed list_source(int directory, const std::string& shown, const Trust& trust, const IgnoreRules& rules);

// Lists a tree in the store with its own permissions. Without removed files that NFS keeps.
Listed list_stored(const std::string& directory);

// Whether a symbolic link may be part of a release. `path`: of the link in its tree. Pure.
//
// A relative target must stay inside: the ".." at its beginning lead at most to the top, and no ".." follows
// a name, since that name may be a link itself. So no chain of such links leads out. An absolute target must
// be a place of the system, which stays when the tree is gone: below /usr, /bin, /sbin, /lib…, /etc, or
// /dev/null. (The `bin/python` of a virtual environment is such a link.)
bool is_allowed_link(const std::string& path, std::string_view target);

}  // namespace liveswap::release
