#pragma once

#include <functional>
#include <optional>
#include <variant>

#include "master/releases/soundness.hpp"
#include "rollout/start.hpp"

namespace liveswap::master {

// Finds what a start from the store runs: the committed release when its bytes are sound, else the nearest
// sound release before it. What keeps the bytes from being hashed passes by (a disk that hangs, too little
// memory), so it is tried again until it succeeds; nothing runs unverified meanwhile.
class SoundStart {
 public:
  struct Found {
    bool as_committed = false;  // the committed release is sound itself
    std::variant<rollout::Start, rollout::NoStart> choice;
  };
  // On the loop; must not throw. Nothing: an exception has cut the search off. Not called while the engine
  // stops.
  using Done = std::function<void(const std::optional<Found>&)>;

  SoundStart(uv_loop_t& loop, Soundness& soundness, const rollout::Engine& engine, Done done)
      : soundness_(soundness), engine_(engine), done_(std::move(done)), timer_(loop) {}

  void find(const rollout::Release& committed);

 private:
  void on_checked(const rollout::Release& committed, const rollout::Checked& found);
  void find_later(const rollout::Release& committed, const rollout::Checked& found);

  Soundness& soundness_;
  const rollout::Engine& engine_;
  Done done_;
  Timer timer_;
  std::optional<rollout::Time> told_;  // when the log was told last that nothing is hashed yet
};

}  // namespace liveswap::master
