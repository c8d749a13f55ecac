#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "master/sockets/endpoint.hpp"

namespace liveswap::master {

// Counts connections that may still reach the former set after a flip. A handshake ends in the accept queue
// of the socket that got the first packet, however late. Also, another CPU may have looked up the former
// socket or Unix path just before the flip.
class PendingHandshakes {
 public:
  // At least 1 for 50 ms. The handshakes pending at the first call after that count until they end.
  std::size_t left(const std::vector<const Endpoint*>& endpoints);

 private:
  using Clock = std::chrono::steady_clock;
  void look(const std::vector<const Endpoint*>& endpoints);

  Clock::time_point since_ = Clock::now();
  bool looked_ = false;
  bool blind_ = false;  // no tcp_diag
  std::map<const Endpoint*, std::set<std::uint64_t>> under_way_;
};

}  // namespace liveswap::master
