#include "master/workers/left_looks.hpp"

#include <algorithm>

namespace liveswap::master {

LeftLooks::Milliseconds LeftLooks::interval_after(std::chrono::nanoseconds duration) {
  return std::max(Milliseconds{100}, std::chrono::ceil<Milliseconds>(10 * duration));
}

std::optional<Left> LeftLooks::at(pid_t worker, const Traces& traces, Milliseconds now) {
  workers_[worker] = traces;
  if (!next_ || now >= *next_) {
    const auto begin = std::chrono::steady_clock::now();
    found_ = look_(workers_).value_or(std::map<pid_t, Left>{});
    next_ = now + interval_after(std::chrono::steady_clock::now() - begin);
  }
  auto found = found_.extract(worker);
  return found ? std::optional(std::move(found.mapped())) : std::nullopt;
}

void LeftLooks::forget(pid_t worker) {
  workers_.erase(worker);
  found_.erase(worker);
}

}  // namespace liveswap::master
