#pragma once

#include <string>

namespace liveswap::release {

// A sentence for people about libraries that a trial load found outside of the release and of the system, and
// what to do. Empty: none. `loaded`: paths from the dynamic linker, one on each line. `directory`: that of
// the release.
std::string outside_remark(const std::string& loaded, const std::string& directory);

}  // namespace liveswap::release
