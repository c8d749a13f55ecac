#pragma once

#include <set>
#include <string>
#include <variant>

#include "rollout/engine.hpp"
#include "rollout/start.hpp"

namespace liveswap::rollout {

// What a master does when the bytes of its committed release differ from what was committed: no worker can be
// respawned any more, so it goes back by itself to the nearest sound release. Pure.
class FallBack {
 public:
  struct Stay {};       // there is nothing to do, or something else ends it: an upgrade, a rollback, a stop
  struct NoWayBack {};  // no release before is sound; said once for each release
  using Decision = std::variant<Stay, NoWayBack, UpgradeRequest>;

  // The stored bytes of `release` were `found` to differ. `pace`: of a rollback.
  Decision decide(const Engine& engine, const Release& release, const Checked& found, const Pace& pace);
  // A release was committed; `by_itself`: by a rollback that decide() had asked for.
  void committed(bool by_itself);
  // Ids of releases that such rollbacks go to, or have failed with: a release that cannot start is not tried
  // again and again.
  const std::set<std::string>& tried() const { return tried_; }

 private:
  std::set<std::string> tried_;
  std::string without_way_back_;  // id of the release of which that was said
};

// For people, behind why a rollback was refused: what they can do instead.
std::string way_out(const Checked& found);

}  // namespace liveswap::rollout
