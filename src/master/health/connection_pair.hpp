#pragma once

#include <functional>
#include <optional>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {

// Makes a connection of which the master has both ends. The server's end goes to one worker, whose accept()
// returns it (contract/channel.h, ADOPT): so a chosen worker is asked, and not the one that the kernel
// chooses among those that share an address. To the application it looks like a connection of its listener: a
// Unix stream, or TCP of the same family over loopback, by a socket that listens for this connection only.
class ConnectionPair {
 public:
  struct Ends {
    UniqueFd client;  // non-blocking
    UniqueFd server;
  };
  // Called once, on the loop, never from within the constructor; may destroy the pair.
  using Done = std::function<void(Result<Ends>)>;

  // `family`: AF_INET, AF_INET6 or AF_UNIX.
  ConnectionPair(uv_loop_t& loop, int family, Done done);

 private:
  void begin();
  Result<void> connect();
  void accept();

  uv_loop_t& loop_;
  const int family_;
  const Done done_;
  UniqueFd listener_;
  UniqueFd client_;
  std::optional<Poll> poll_;
  Timer begin_;
};

}  // namespace liveswap::master
