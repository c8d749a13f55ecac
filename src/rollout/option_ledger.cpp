#include "rollout/option_ledger.hpp"

namespace liveswap::rollout {

void OptionLedger::know(Cookie socket, const OptionValues& values) {
  if (!knows(socket)) bases_[values].insert(socket);
}

const OptionValues* OptionLedger::bases_of(Cookie socket) const {
  for (const auto& [values, sockets] : bases_)
    if (sockets.contains(socket)) return &values;
  return nullptr;
}

OptionValue OptionLedger::base_of(Cookie socket, const OptionName& option) const {
  const auto* bases = bases_of(socket);
  if (!bases) return std::nullopt;
  const auto base = bases->find(option);
  return base == bases->end() ? std::nullopt : base->second;
}

void OptionLedger::note(Cookie socket, const OptionName& option, Generation by, OptionValue value) {
  auto& settings = settings_[socket][option];
  std::erase_if(settings, [&](const Setting& one) { return one.by == by; });
  settings.push_back({by, std::move(value)});
}

void OptionLedger::forget(Cookie socket) {
  for (auto& [values, sockets] : bases_) sockets.erase(socket);
  std::erase_if(bases_, [](const auto& one) { return one.second.empty(); });
  settings_.erase(socket);
}

bool OptionLedger::has_room_for(Cookie socket, const OptionName& option, std::size_t limit) const {
  std::size_t count = 0;
  for (const auto& [known, options] : settings_) count += options.size();
  const auto found = settings_.find(socket);
  return count < limit || (found != settings_.end() && found->second.contains(option));
}

std::vector<OptionLedger::Restore> OptionLedger::keep(const std::set<Generation>& live) {
  std::vector<Restore> restores;
  for (auto& [socket, options] : settings_) {
    for (auto& [option, settings] : options) {
      const Setting last = settings.back();
      std::erase_if(settings, [&](const Setting& one) { return !live.contains(one.by); });
      if (live.contains(last.by)) continue;
      if (settings.empty()) restores.push_back({socket, option, base_of(socket, option), false, last.by});
      else restores.push_back({socket, option, settings.back().value, true, last.by});
    }
    std::erase_if(options, [](const auto& one) { return one.second.empty(); });
  }
  std::erase_if(settings_, [](const auto& one) { return one.second.empty(); });
  return restores;
}

}  // namespace liveswap::rollout
