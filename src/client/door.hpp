#pragma once

#include <functional>
#include <optional>
#include <string>

#include "client/connect.hpp"
#include "client/sockets.hpp"
#include "liveswap.hpp"
#include "protocol/instance.hpp"

// The way to a master. On this machine it is looked for wherever a master may have its socket: one that a
// service manager has started has another environment, and so another runtime directory, than the login
// session of its user, and somebody who has become root by sudo has again another one.
namespace liveswap::client {

struct Door {
  Attempt attempt;
  std::string name;  // of the socket, for messages
  bool wants_token = false;
};

// With a runtime directory that was given: its socket, else TCP. Else, in this order: the socket in the
// runtime directory of this environment, the masters of the same port that answer in all other places, TCP.
// Of two that are found in other places none is chosen. The search takes a second at most.
Door open_door(const Client::Where& where, const protocol::Instance& instance, const Deadline& deadline);

// Called by every exchange of this process, before its command is sent, with what the caller may want to know
// beside the answer: that the master belongs to another user, which only root can come across. Empty: nobody
// wants to know.
using Notice = std::function<void(const std::string& text)>;
Notice& notice();

// Where a master can be by default that this user may control: of every user for root.
std::vector<std::string> usual_directories();

}  // namespace liveswap::client
