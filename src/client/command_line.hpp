#pragma once

#include <string>
#include <string_view>

#include "liveswap.hpp"

namespace liveswap::client {

// The options that address an instance, without defaults: " -p 3001 --runtime-dir /run/app".
std::string options_of(const Client::Where& where);

// A command for a shell: "liveswap status -p 3001". `command` may have arguments.
std::string command_line(const Client::Where& where, std::string_view command);

}  // namespace liveswap::client
