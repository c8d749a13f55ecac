#pragma once

#include <set>
#include <string>
#include <variant>

#include "rollout/engine.hpp"
#include "rollout/start.hpp"

namespace liveswap::rollout {

// Decides about an automatic rollback: if the stored bytes of the committed release have changed, no worker
// can be respawned from them, and the master rolls back to the nearest sound release. Pure.
class FallBack {
 public:
  struct Stay {};       // no rollback: not needed, or an upgrade, rollback or stop is under way
  struct NoWayBack {};  // no earlier release is sound; returned once for each release
  using Decision = std::variant<Stay, NoWayBack, UpgradeRequest>;

  // Call with the result `found` of checking `release`. `pace`: for the rollback.
  Decision decide(const Engine& engine, const Release& release, const Examined& found, const Pace& pace);
  // Call after a commit. `by_itself`: by a rollback that decide() returned.
  void committed(bool by_itself);
  // Ids of the releases to which decide() has rolled back since the last commit that a user requested. A
  // search for a sound release skips them, so that a release that cannot start is tried only once.
  const std::set<std::string>& tried() const { return tried_; }

  // All members as values (master/state/archive.hpp).
  template <class Archive>
  void describe(Archive& a) {
    a("tried", tried_)("without_way_back", without_way_back_);
  }

 private:
  std::set<std::string> tried_;
  std::string without_way_back_;  // id of the release for which NoWayBack was returned last
};

// For people: what they can do instead. To append to the reason why a rollback was refused.
std::string way_out(const Examined& found);

}  // namespace liveswap::rollout
