#pragma once

#include <cstdint>
#include <string>

// Where an instance keeps its things. One instance a port: master and client find each other by this alone.
namespace liveswap::protocol {

struct Instance {
  std::uint16_t port = 0;
  std::string state_dir;    // HEAD, token, locks, log
  std::string runtime_dir;  // the control socket

  std::string socket_path() const { return runtime_dir + "/" + std::to_string(port) + ".sock"; }
  std::string head_path() const { return state_dir + "/HEAD"; }
  std::string token_path() const { return state_dir + "/token"; }
  std::string log_path() const { return state_dir + "/log"; }
};

// `state_dir` and `runtime_dir` as configured (absolute), empty for the default: $XDG_STATE_HOME/liveswap/<port>, or
// ~/.local/state/liveswap/<port>; $XDG_RUNTIME_DIR/liveswap, for root without it /run/liveswap, else
// /tmp/liveswap-<uid>. Reads the environment and, without $HOME, the user database; makes nothing.
Instance locate_instance(std::uint16_t port, const std::string& state_dir, const std::string& runtime_dir);

}  // namespace liveswap::protocol
