#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace liveswap::log {

// What every text is passed through before it is written: `liveswap status` in it becomes a command that
// works as it stands. An empty function: nothing is changed.
void complete_with(std::function<std::string(std::string_view text)> complete);

}  // namespace liveswap::log
