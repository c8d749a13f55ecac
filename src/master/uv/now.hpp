#pragma once

#include <uv.h>

#include <chrono>

namespace liveswap::master {

// The time on a clock that never goes back.
inline std::chrono::milliseconds now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(uv_hrtime()));
}

}  // namespace liveswap::master
