#pragma once

#include <string>
#include <string_view>

namespace liveswap {

// Whether a library at this path is the system's own: it lies below /lib or /usr/lib (or lib64 …), or in a
// directory that /etc/ld.so.conf names, includes followed. The package manager exchanges these, and keeps
// them compatible; every other library belongs to the application that needs it. A relative path is none of
// the system's. Reads the configuration once.
bool is_system_library(const std::string& path);

// The same by the text of the path alone: neither the file nor its directory is looked up, so a path on a
// file system that does not answer cannot block the caller. A path that reaches a directory of
// /etc/ld.so.conf by some other link is none of the system's here.
bool is_named_as_system_library(std::string_view path);

}  // namespace liveswap
