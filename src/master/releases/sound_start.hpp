#pragma once

#include <functional>
#include <optional>
#include <variant>

#include "master/releases/soundness.hpp"
#include "rollout/start.hpp"

namespace liveswap::master {

// Finds the release that a start from the store runs: the committed one if its bytes are sound, else the
// nearest earlier release that is sound. If the bytes cannot be hashed now (the disk hangs, memory is short),
// a timer retries until they can. Until then no worker starts.
class SoundStart {
 public:
  struct Found {
    bool as_committed = false;  // the choice is the committed release
    std::variant<rollout::Start, rollout::NoStart> choice;
  };
  // Called on the loop; must not throw. nullopt: an exception ended the search. Not called if the engine is
  // stopping.
  using Done = std::function<void(const std::optional<Found>&)>;

  SoundStart(uv_loop_t& loop, Soundness& soundness, const rollout::Engine& engine, Done done)
      : soundness_(soundness), engine_(engine), done_(std::move(done)), timer_(loop) {}

  void find(const rollout::Release& committed);

 private:
  void on_examined(const rollout::Release& committed, const rollout::Examined& found);
  void find_later(const rollout::Release& committed, const rollout::Examined& found);

  Soundness& soundness_;
  const rollout::Engine& engine_;
  Done done_;
  Timer timer_;
  std::optional<rollout::Time> told_;  // when the log last reported that hashing failed
};

}  // namespace liveswap::master
