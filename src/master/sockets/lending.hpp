#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace liveswap::master {

class Endpoint;

// A listener as one configuration lends it to workers.
struct Lent {
  Endpoint* endpoint = nullptr;  // of Listeners, which keeps it while a Lending with it is held
  std::string name;
  bool per_slot = false;  // each slot has a socket of its own, otherwise all have the first

  // The number of the slot's socket within a set.
  unsigned socket_of(unsigned slot) const { return per_slot ? slot : 0; }
};

// The listeners of one configuration, in the order in which workers get them. Hold it as long as a worker may
// have their sockets.
using Lending = std::shared_ptr<const std::vector<Lent>>;

// nullptr: not among them.
inline const Lent* find_lent(const Lending& lending, const Endpoint* endpoint) {
  const auto found = std::find_if(lending->begin(), lending->end(),
                                  [endpoint](const Lent& one) { return one.endpoint == endpoint; });
  return found == lending->end() ? nullptr : &*found;
}

}  // namespace liveswap::master
