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

// `state_dir` and `runtime_dir` as configured (absolute), empty for the default:
// $XDG_STATE_HOME/liveswap/<port>, for root without it /var/lib/liveswap/<port>, else
// ~/.local/state/liveswap/<port>; $XDG_RUNTIME_DIR/liveswap, for root without it /run/liveswap, else
// /tmp/liveswap-<uid>. Reads the environment and, without $HOME, the user database; makes nothing. Root's own
// home would be closed to the workers of another user. What an earlier version has left there is used while
// it has a HEAD and there is nothing in /var/lib, so that no upgrade of liveswap forgets what was committed.
Instance locate_instance(std::uint16_t port, const std::string& state_dir, const std::string& runtime_dir);

// The default of root, and what it was in earlier versions; the latter is empty for others than root, and
// where $XDG_STATE_HOME says otherwise.
std::string root_state_dir(std::uint16_t port);
std::string earlier_state_dir(std::uint16_t port);

}  // namespace liveswap::protocol
