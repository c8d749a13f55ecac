#include "master/workers/left_scans.hpp"

#include <algorithm>

namespace liveswap::master {

LeftScans::Milliseconds LeftScans::interval_after(std::chrono::nanoseconds duration) {
  return std::max(Milliseconds{100}, std::chrono::ceil<Milliseconds>(10 * duration));
}

std::optional<Left> LeftScans::at(pid_t worker, const Traces& traces, Milliseconds now) {
  workers_[worker] = traces;
  if (!next_ || now >= *next_) {
    const auto begin = std::chrono::steady_clock::now();
    found_ = scan_(workers_).value_or(std::map<pid_t, Left>{});
    next_ = now + interval_after(std::chrono::steady_clock::now() - begin);
  }
  auto found = found_.extract(worker);
  return found ? std::optional(std::move(found.mapped())) : std::nullopt;
}

void LeftScans::forget(pid_t worker) {
  workers_.erase(worker);
  found_.erase(worker);
}

}  // namespace liveswap::master
