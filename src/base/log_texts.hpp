#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace liveswap::log {

// Sets a filter for the text of every log line: it adds the options of this instance to commands, so that
// `liveswap status` in a text can be copied to a shell. An empty function removes the filter.
void complete_with(std::function<std::string(std::string_view text)> complete);

}  // namespace liveswap::log
