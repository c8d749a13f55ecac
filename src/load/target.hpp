#pragma once

#include <sys/socket.h>

#include <string>

#include "base/error.hpp"

namespace liveswap::load {

enum class Protocol {
  http,
  echo,
  close,  // no request: the client shuts down its side and waits for the server's end of file
};

// The destination of requests.
struct Target {
  Protocol protocol = Protocol::http;
  std::string host;  // with port, as in the URL: for the Host header
  std::string path;
  std::string shown;  // for people
  sockaddr_storage address{};
  socklen_t address_size = 0;

  int family() const { return address.ss_family; }
};

// Parses http://HOST[:PORT][/PATH] or tcp://HOST:PORT. HOST: an IP address, or localhost (127.0.0.1).
// Addresses other than loopback are refused unless `any_address`: on the wrong machine, the load would be an
// attack. `unix_path`, if not empty, is connected to instead; HOST is then arbitrary.
Result<Target> parse_target(const std::string& url, const std::string& unix_path, bool any_address);

}  // namespace liveswap::load
