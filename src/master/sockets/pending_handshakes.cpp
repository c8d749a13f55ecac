#include "master/sockets/pending_handshakes.hpp"

namespace liveswap::master {
namespace {

// Longer than connect() takes from looking up the listener to queueing, on an overloaded machine.
constexpr std::chrono::milliseconds first_moments{50};
// Without tcp_diag: covers a distant client's handshake, but not a retransmission.
constexpr std::chrono::milliseconds blind_wait{1'000};

}  // namespace

void PendingHandshakes::look(const std::vector<const Endpoint*>& endpoints) {
  std::map<const Endpoint*, std::set<std::uint64_t>> left;
  for (std::size_t i = 0; i < endpoints.size() && !blind_; ++i) {
    const auto before = under_way_.find(endpoints[i]);
    // Nothing is pending: an application has bound the endpoint after the flip, or all handshakes have ended.
    if (looked_ && before == under_way_.end()) continue;
    auto now = endpoints[i]->handshakes();
    blind_ = !now;
    if (looked_ && now) std::erase_if(*now, [&](std::uint64_t one) { return !before->second.contains(one); });
    if (now && !now->empty()) left.emplace(endpoints[i], std::move(*now));
  }
  under_way_ = std::move(left);
  looked_ = true;
}

std::size_t PendingHandshakes::left(const std::vector<const Endpoint*>& endpoints) {
  const auto passed = Clock::now() - since_;
  if (passed < first_moments) return 1;
  look(endpoints);
  if (blind_) return passed < blind_wait ? 1 : 0;
  std::size_t count = 0;
  for (const auto& [endpoint, one] : under_way_) count += one.size();
  return count;
}

}  // namespace liveswap::master
