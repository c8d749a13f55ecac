#pragma once

#include <string>
#include <string_view>

#include "liveswap.hpp"

namespace liveswap::client {

// How the instance was addressed, as options: " -p 3001 --runtime-dir /run/app"; what is the default is left
// out. Also of use to start one there.
std::string options_of(const Client::Where& where);

// "liveswap status -p 3001", for people to copy: `command` may have arguments.
std::string command_line(const Client::Where& where, std::string_view command);

}  // namespace liveswap::client
