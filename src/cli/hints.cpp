#include "cli/hints.hpp"

#include <nlohmann/json.hpp>

#include "protocol/command_line.hpp"

namespace liveswap::cli {

nlohmann::json with_options(nlohmann::json document, const std::string& options) {
  if (document.is_string()) return protocol::with_options(document.get_ref<const std::string&>(), options);
  if (document.is_structured())
    for (auto& part : document) part = with_options(std::move(part), options);
  return document;
}

}  // namespace liveswap::cli
