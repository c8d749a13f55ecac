#pragma once

#include <string>

namespace liveswap::release {

// What the check of a release has loaded (`loaded`: paths, one a line, as the loader has them), but for what
// lies in `directory`, the release's own, and what is the system's: a sentence for people that names it and
// says what to do. Empty: everything belongs to the release or the system.
std::string outside_remark(const std::string& loaded, const std::string& directory);

}  // namespace liveswap::release
