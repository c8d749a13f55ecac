#include "master/group_looks.hpp"

#include <algorithm>

namespace liveswap::master {

GroupLooks::Milliseconds GroupLooks::interval_after(std::chrono::nanoseconds duration) {
  return std::max(Milliseconds{100}, std::chrono::ceil<Milliseconds>(10 * duration));
}

std::optional<std::size_t> GroupLooks::open(pid_t group, const ListeningPlaces& places, Milliseconds now) {
  groups_[group] = places;
  if (!next_ || now >= *next_) {
    const auto begin = std::chrono::steady_clock::now();
    found_ = count_(groups_);
    next_ = now + interval_after(std::chrono::steady_clock::now() - begin);
  }
  const auto found = found_.extract(group);
  return found ? std::optional(found.mapped()) : std::nullopt;
}

void GroupLooks::forget(pid_t group) {
  groups_.erase(group);
  found_.erase(group);
}

}  // namespace liveswap::master
