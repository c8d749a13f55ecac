#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "master/sockets/endpoint.hpp"

namespace liveswap::master {

// What may still come to the former set of sockets after a flip. A handshake belongs to the socket that its
// first packet met, so it ends in that accept queue however long it takes; and another CPU may have looked up
// the former socket, or a Unix path, at the very moment of the flip.
class PendingHandshakes {
 public:
  // Handshakes that may end in the former set, at least 1 during the first moments. Those that were under way
  // when it is first asked after these moments count until they have ended.
  std::size_t left(const std::vector<std::unique_ptr<Endpoint>>& endpoints);

 private:
  using Clock = std::chrono::steady_clock;
  void look(const std::vector<std::unique_ptr<Endpoint>>& endpoints);

  Clock::time_point since_ = Clock::now();
  bool looked_ = false;
  bool blind_ = false;  // the kernel does not tell of handshakes
  std::map<const Endpoint*, std::set<std::uint64_t>> under_way_;
};

}  // namespace liveswap::master
