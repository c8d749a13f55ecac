#pragma once

#include <cstdint>

namespace liveswap::rollout {

// Random numbers that depend on the seed alone, so that a failing schedule can be repeated on any machine.
// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t roll() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }
  // From `least` to `most`, both included.
  long between(long least, long most) {
    return least + static_cast<long>(roll() % static_cast<std::uint64_t>(most - least + 1));
  }
  bool chance(unsigned percent) { return roll() % 100 < percent; }

 private:
  std::uint64_t state_;
};

}  // namespace liveswap::rollout
