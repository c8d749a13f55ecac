#pragma once

#include <optional>
#include <string>

#include "client/door.hpp"
#include "liveswap.hpp"
#include "protocol/instance.hpp"
#include "protocol/message.hpp"

// What to tell somebody who asked for a master of this machine and was not heard: whose it is, where it
// listens, or that there is none, and which there are. Looks at /proc/net, and asks
// the sockets that it finds there whether they are masters: at most half a second each call.
namespace liveswap::client {

// Nobody listens where the instance was looked for; `tried` says where that was.
Outcome explain_nobody(const Client::Where& where, const protocol::Instance& instance,
                       const std::string& tried);

// The master has answered by TCP that it wants its token. `line`: that answer. Nothing when the master is on
// another machine, or tells nothing of itself.
Outcome explain_no_token(const Client::Where& where, const protocol::Instance& instance,
                         const std::string& line, Outcome refused);

// Root can control the masters of all users, so a command that root means for an instance of its own could
// reach a stranger's, which has come to the port meanwhile. A command that changes something is refused when
// its master belongs to another user and nothing named it, if root has an instance of its own on that port
// (its HEAD is there), or if nobody would be told whose the master is (`told`). Nothing: the command may be
// sent.
std::optional<Outcome> refuse_stranger(const Client::Where& where, const protocol::Instance& instance,
                                       const Door& door, protocol::Verb verb, bool told);

}  // namespace liveswap::client
