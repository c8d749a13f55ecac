#pragma once

#include <functional>
#include <optional>
#include <string>

#include "client/connect.hpp"
#include "client/sockets.hpp"
#include "liveswap.hpp"
#include "protocol/instance.hpp"

// Finds and connects to a master. On this machine, the default runtime directory depends on the environment,
// which differs between a service manager, a login session and sudo. So all directories are searched in which
// a master may have its socket.
namespace liveswap::client {

struct Endpoint {
  Attempt attempt;
  std::string name;  // of the socket, for messages
  bool wants_token = false;
};

// If `where` has a runtime directory, tries the socket there, then TCP. If not, tries the socket in the
// default runtime directory, then the sockets for this port in all other directories, then TCP. It is an
// error if masters are found in several other directories. Their search takes at most one second. Blocks.
Endpoint connect_master(const Client::Where& where, const protocol::Instance& instance,
                        const Deadline& deadline);

// One callback for the whole process. Before exchange() sends a command to the master of another user (only
// root can reach one), it calls this with a sentence that names the user. Empty: no call.
using OwnerNotice = std::function<void(const std::string& text)>;
OwnerNotice& owner_notice();

// Default runtime directories of masters that this user may control; for root, those of all users.
std::vector<std::string> usual_directories();

}  // namespace liveswap::client
