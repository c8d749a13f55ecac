#pragma once

#include <sys/socket.h>

#include <string>

#include "base/error.hpp"

namespace liveswap::load {

enum class Protocol {
  http,
  echo,
  close,  // no request: the client ends its side of the connection, and waits for the server to end its own
};

// Where the requests go.
struct Target {
  Protocol protocol = Protocol::http;
  std::string host;  // as in the URL, with its port: for the Host header
  std::string path;
  std::string shown;  // for people
  sockaddr_storage address{};
  socklen_t address_size = 0;

  int family() const { return address.ss_family; }
};

// Reads http://HOST[:PORT][/PATH] or tcp://HOST:PORT. HOST is a numeric address or localhost (127.0.0.1). A
// host that is not a loopback address is refused unless `any_address`: this client is a load, aimed at the
// wrong machine it is an attack. A non-empty `unix_path` is connected to instead of the host, which then may
// be anything.
Result<Target> parse_target(const std::string& url, const std::string& unix_path, bool any_address);

}  // namespace liveswap::load
