#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace liveswap::cli {

// A document from a master or a file with every hint in its texts completed (protocol::with_options): a command line
// that works as it stands.
nlohmann::json with_options(nlohmann::json document, const std::string& options);

}  // namespace liveswap::cli
