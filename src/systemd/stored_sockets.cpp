#include "systemd/stored_sockets.hpp"

namespace liveswap::systemd {

StoreChanges changes_of(const StoredSockets& stored, const StoredSockets& wanted) {
  const auto has = [](const StoredSockets& sockets, const auto& one) {
    const auto found = sockets.find(one.first);
    return found != sockets.end() && found->second == one.second;
  };
  StoreChanges changes;
  for (const auto& one : stored)
    if (!has(wanted, one)) changes.removed.push_back(one.first);
  for (const auto& one : wanted)
    if (!has(stored, one)) changes.added.push_back(one.first);
  return changes;
}

}  // namespace liveswap::systemd
