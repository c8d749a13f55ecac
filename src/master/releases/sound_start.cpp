#include "master/releases/sound_start.hpp"

#include "base/log.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {
namespace {

constexpr Milliseconds pause{1'000};
constexpr Milliseconds tell_interval{60'000};

}  // namespace

void SoundStart::find(const rollout::Release& committed) {
  if (!told_) soundness_.log_hashing(committed);
  soundness_.examine(committed, true, [this, committed](const rollout::Examined& found) {
    if (!guarded([&] { on_examined(committed, found); })) done_(std::nullopt);
  });
}

void SoundStart::on_examined(const rollout::Release& committed, const rollout::Examined& found) {
  if (engine_.stopping()) return;
  if (found.kind == rollout::Examined::Kind::unknown || found.unsure) return find_later(committed, found);
  told_.reset();
  done_(Found{found.sound(), rollout::choose_sound(committed, found)});
}

void SoundStart::find_later(const rollout::Release& committed, const rollout::Examined& found) {
  if (!told_ || now() - *told_ >= tell_interval) {
    told_ = now();
    log::warning("{}{}: nothing is started yet, it is tried again", found.text,
                 found.unsure ? "; whether a release before it is sound could not be found out" : "");
  }
  timer_.start(pause, [this, committed] { find(committed); });
}

}  // namespace liveswap::master
