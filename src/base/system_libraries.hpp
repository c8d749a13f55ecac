#pragma once

#include <string>

namespace liveswap {

// Whether a library at this path is the system's own: it lies below /lib or /usr/lib (or lib64 …), or in a directory
// that /etc/ld.so.conf names, includes followed. The package manager exchanges these, and keeps them compatible; every
// other library belongs to the application that needs it. A relative path is none of the system's. Reads the
// configuration once.
bool is_system_library(const std::string& path);

}  // namespace liveswap
