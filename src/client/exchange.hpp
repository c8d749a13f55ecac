#pragma once

#include <string>

#include "liveswap.hpp"
#include "protocol/message.hpp"

namespace liveswap::client {

struct Reply {
  Outcome outcome;
  std::string line;  // the answer as it came, without its newline; empty: there was none
};

// Connects, sends `command` and waits for its answer; events go to `event` as they come. `command.token` is
// filled in where the door wants one. Blocks; throws only what `event` throws.
Reply exchange(const Client::Where& where, protocol::Command command, const Client::Event& event);

}  // namespace liveswap::client
