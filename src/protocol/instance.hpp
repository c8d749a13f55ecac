#pragma once

#include <cstdint>
#include <string>

// The files of an instance. There is one instance for each port, so the port is enough for a client to find
// the master.
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

// `state_dir` and `runtime_dir`: absolute, as configured; empty for the defaults:
//
//   state_dir    $XDG_STATE_HOME/liveswap/<port>; without the variable /var/lib/liveswap/<port> for root
//                (workers of other users cannot enter root's home), ~/.local/state/liveswap/<port> for others
//   runtime_dir  $XDG_RUNTIME_DIR/liveswap; without it /run/liveswap for root, /tmp/liveswap-<uid> for others
//
// An older version kept root's state in root's home. That directory is used as long as it has a HEAD and
// /var/lib/liveswap/<port> does not exist. Reads the environment and, without $HOME, the user database.
// Creates nothing.
Instance locate_instance(std::uint16_t port, const std::string& state_dir, const std::string& runtime_dir);

// Root's default state directory, now and in older versions. The latter is empty for other users, and if
// $XDG_STATE_HOME is set.
std::string root_state_dir(std::uint16_t port);
std::string earlier_state_dir(std::uint16_t port);

}  // namespace liveswap::protocol
