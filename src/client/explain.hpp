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

// Root can control masters of all users. While root's own instance on a port is stopped, another user may run
// a master there, and a command of root would reach it. So a command of root that changes another user's
// master is refused if root has an instance on this port (its HEAD exists), or if owner_notice() is empty
// (`told` is false), as root would not learn the owner. A runtime directory on the command line names the
// master: then nothing is refused. nullopt: send the command.
std::optional<Outcome> refuse_other_owner(const Client::Where& where, const protocol::Instance& instance,
                                          const Endpoint& endpoint, protocol::Verb verb, bool told);

}  // namespace liveswap::client
