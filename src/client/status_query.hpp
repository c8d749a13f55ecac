#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "client/connect.hpp"
#include "client/sockets.hpp"

namespace liveswap::client {

// Finds out which sockets belong to masters, by sending them the command `status`: a file named `3000.sock`
// may belong to any program.
enum class Answer {
  master,       // answered `status` as a master does
  foreign,      // answered otherwise, or closed the connection
  silent,       // no answer in time: a hanging master, or another program
  unconnected,  // no connection: see `result` and `text`
};

struct QueriedSocket {
  ControlSocket socket;
  Answer answer = Answer::unconnected;
  ConnectResult result = ConnectResult::failed;
  std::string text;  // if unconnected: the reason, as a clause
  uid_t user = 0;    // peer credentials, if connected
  pid_t process = 0;
  std::string status;  // of a master: the status object as text (docs/reference/control-protocol.md); empty
                       // if refused
};

// Connects to a socket in a default directory. Refused unless the directory belongs to the user of the
// listening process and is not writable by others, and that user is the caller's or root (root connects to
// all users).
Attempt connect_trusted(const ControlSocket& socket, const Deadline& deadline);

// Queries all sockets in parallel; `limit` applies to the whole call. Sockets that cannot be connected
// immediately count as silent. At most 256; the rest is left out. Results are in the order of `sockets`.
// Blocks.
std::vector<QueriedSocket> query_sockets(const std::vector<ControlSocket>& sockets,
                                         std::chrono::milliseconds limit);

}  // namespace liveswap::client
