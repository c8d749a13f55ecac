#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "contract/keeper.h"

// The connection to liveswap-keeper (contract/keeper.h), for masters and clients. What a keeper sends is
// checked like the frames of a worker.
namespace liveswap::protocol {

// Connects to the keeper of that state directory. Empty: there is none. An error: something else is there, or
// it is of another user.
Result<UniqueFd> connect_keeper(const std::string& state_dir);

struct KeeperFrame {
  liveswap_keeper_frame head{};
  std::string text;
  std::vector<UniqueFd> descriptors;
  bool cut = false;  // descriptors were lost
};
// nullopt: nothing has come (`blocking`: within the limit of the socket), or the keeper has gone, which sets
// `gone`.
std::optional<KeeperFrame> receive_from_keeper(int link, bool blocking, bool& gone);

// False, with errno. The descriptors are borrowed.
bool send_to_keeper(int link, const liveswap_keeper_frame& head, const std::string& text, const int* fds,
                    std::size_t count);

}  // namespace liveswap::protocol
