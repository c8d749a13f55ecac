#pragma once

#include <string>
#include <string_view>

namespace liveswap {

// Whether the absolute `path` lies below /lib or /usr/lib (or lib64 …), or in a directory from
// /etc/ld.so.conf and its includes. The package manager keeps these libraries compatible; all others belong
// to applications. Reads the configuration once. May block on the file system.
bool is_system_library(const std::string& path);

// The same by the text of the path alone, without file system access: cannot block on a dead file system.
// Does not recognise a directory of /etc/ld.so.conf that is reached by another link.
bool is_named_as_system_library(std::string_view path);

}  // namespace liveswap
