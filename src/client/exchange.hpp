#pragma once

#include <string>

#include "liveswap.hpp"
#include "protocol/message.hpp"

namespace liveswap::client {

struct Reply {
  Outcome outcome;
  std::string line;  // the answer without its newline; empty: none
};

// Connects, sends `command`, passes events to `event` and returns the answer. Fills in `command.token` if
// needed. Blocks. Throws only what `event` throws.
Reply exchange(const Client::Where& where, protocol::Command command, const Client::Event& event);

}  // namespace liveswap::client
