#pragma once

#include <optional>

#include "liveswap.hpp"
#include "protocol/instance.hpp"
#include "protocol/message.hpp"

namespace liveswap::client {

// There is no master on the port. Whether workers of a killed one go on serving and wait for the next, in
// words: how many, with which code, and how long. `stop` and `die` have them drain and leave. nullopt: there
// are none, or they are of another user. Blocks for some seconds at most.
std::optional<Outcome> ask_orphans(const Client::Where& where, const protocol::Instance& instance,
                                   protocol::Verb verb);

}  // namespace liveswap::client
