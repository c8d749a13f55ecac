#include "client/command_line.hpp"

#include "protocol/command_line.hpp"

namespace liveswap::client {

std::string options_of(const Client::Where& where) {
  std::string options = protocol::port_option(where.port);
  if (where.address != Client::Where().address) options += protocol::option("-a", where.address);
  return options + protocol::directory_options(where.state_dir, where.runtime_dir);
}

std::string command_line(const Client::Where& where, std::string_view command) {
  return "liveswap " + std::string(command) + options_of(where);
}

}  // namespace liveswap::client
