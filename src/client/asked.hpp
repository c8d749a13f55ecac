#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "client/connect.hpp"
#include "client/sockets.hpp"

namespace liveswap::client {

// A file called `3000.sock` may belong to any program. Only an answer tells whether a master listens there.
enum class Answer {
  master,   // it has answered `status` as a master does
  foreign,  // it has answered something else, or closed the connection
  silent,   // it has not answered in time: a master that hangs, or a program that waits for more
  unasked,  // it was not connected: `reached` and `text` say why
};

struct Asked {
  ControlSocket socket;
  Answer answer = Answer::unasked;
  Reached reached = Reached::failed;
  std::string text;  // when unasked: why, as a clause
  uid_t user = 0;    // when connected: of the process that listens, and which it is
  pid_t process = 0;
  std::string status;  // of a master: the object of docs/reference/control-protocol.md as text; empty: it
                       // refused to tell
};

// A socket in a directory that nobody has named: connected only when the directory belongs to the user of the
// process that listens there, nobody else can write to it, and that user is this one or root (for root:
// anybody).
Attempt connect_trusted(const ControlSocket& socket, const Deadline& deadline);

// All sockets are asked at once, and `limit` is for all of them together: sockets that hang hold nothing up
// for longer. Those that cannot be connected at once count as silent. At most 256 are asked; the others are
// left out. In the order of `sockets`. Blocks.
std::vector<Asked> ask(const std::vector<ControlSocket>& sockets, std::chrono::milliseconds limit);

}  // namespace liveswap::client
