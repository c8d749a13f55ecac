#pragma once

#include <optional>
#include <string>

#include "client/connect_master.hpp"
#include "liveswap.hpp"
#include "protocol/instance.hpp"
#include "protocol/message.hpp"

// Error messages for a command that found no master, or not the expected one: which user runs the master,
// where its socket is, which other instances run. Reads /proc/net and queries the sockets found there. Blocks
// for at most 500 ms.
namespace liveswap::client {

// No process listens at the instance's address; `tried` lists the places.
Outcome explain_no_master(const Client::Where& where, const protocol::Instance& instance,
                          const std::string& tried);

// The master answered by TCP that the token is missing or wrong. `line`: that answer. Returns `refused`
// unchanged if the master is on another machine or sent no details.
Outcome explain_token_refusal(const Client::Where& where, const protocol::Instance& instance,
                              const std::string& line, Outcome refused);

// Root can control masters of all users. So a command for root's own instance could reach another user's
// master that has taken over the port. Commands that change something are refused in two cases, unless the
// user gave a runtime directory: root has an instance on this port (its HEAD exists), or the owner would not
// be reported (`told` is false). nullopt: send the command.
std::optional<Outcome> refuse_other_owner(const Client::Where& where, const protocol::Instance& instance,
                                          const Endpoint& endpoint, protocol::Verb verb, bool told);

}  // namespace liveswap::client
