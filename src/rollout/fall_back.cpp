#include "rollout/fall_back.hpp"

#include <utility>

#include "base/text.hpp"

namespace liveswap::rollout {

FallBack::Decision FallBack::decide(const Engine& engine, const Release& release, const Examined& found,
                                    const Pace& pace) {
  // An upgrade or rollback that is under way or queued will replace the release anyway.
  const bool busy = (engine.upgrading() && !engine.reverting()) || engine.queued();
  if (found.kind != Examined::Kind::differs || found.unsure) return Stay{};
  if (release.id != engine.release().id || engine.stopping() || busy) return Stay{};
  if (!found.earlier) {
    if (std::exchange(without_way_back_, release.id) == release.id) return Stay{};
    return NoWayBack{};
  }
  tried_.insert(found.earlier->id);
  UpgradeRequest request;
  request.release = found.earlier;
  request.path = found.earlier->path;
  request.pace = pace;
  request.overtake = true;
  request.remark = "release " + short_id(release.id) + " could not be respawned: " + found.text;
  if (found.left) request.remark += "; this one is run" + left_remark(found);
  return request;
}

// After a commit that a user requested, every release may be tried again. After an automatic rollback, the
// releases tried before it stay excluded: they have failed.
void FallBack::committed(bool by_itself) {
  without_way_back_.clear();
  if (!by_itself) tried_.clear();
}

std::string way_out(const Examined& found) {
  if (found.kind != Examined::Kind::differs || found.unsure) return ": try again";
  if (!found.earlier) return "; no release before it in the store is sound";
  return "; `liveswap rollback " + short_id(found.earlier->id) + "` goes to " + found.earlier->path +
         ", which is sound" + left_remark(found);
}

}  // namespace liveswap::rollout
