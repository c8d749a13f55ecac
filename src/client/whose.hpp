#pragma once

#include <string>

#include "liveswap.hpp"
#include "protocol/instance.hpp"

// What to tell somebody who asked for a master of this machine and was not heard: whose it is, where it
// listens, or that there is none, and which there are. Looks at /proc/net; connects to nothing.
namespace liveswap::client {

// Nobody listens where the instance was looked for; `tried` says where that was.
Outcome explain_nobody(const Client::Where& where, const protocol::Instance& instance,
                       const std::string& tried);

// The master has answered by TCP that it wants its token. `line`: that answer. Nothing when the master is on
// another machine, or tells nothing of itself.
Outcome explain_no_token(const Client::Where& where, const protocol::Instance& instance,
                         const std::string& line, Outcome refused);

}  // namespace liveswap::client
