#include "load/schedule.hpp"

namespace liveswap::load {

std::optional<Time> Schedule::next() const {
  if (rate_ <= 0 || taken_ >= requests_) return std::nullopt;
  // Computed from the number of the request, so that rounding errors do not add up.
  const Time intended(static_cast<Time::rep>(static_cast<double>(taken_) * 1e9 / rate_));
  if (intended >= end_) return std::nullopt;
  return intended;
}

std::optional<Time> Schedule::take(Time now) {
  const auto intended = next();
  if (!intended || *intended > now) return std::nullopt;
  ++taken_;
  return intended;
}

}  // namespace liveswap::load
