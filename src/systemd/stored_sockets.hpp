#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace liveswap::systemd {

// The sockets in the manager's descriptor store: name → number of the socket (SO_COOKIE).
using StoredSockets = std::map<std::string, std::uint64_t>;

// What to tell the manager, so that it keeps `wanted` instead of `stored`. Remove first: the manager keeps a
// socket under one name only. Pure.
struct StoreChanges {
  std::vector<std::string> removed;
  std::vector<std::string> added;
};
StoreChanges changes_of(const StoredSockets& stored, const StoredSockets& wanted);

}  // namespace liveswap::systemd
