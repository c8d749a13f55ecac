#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "check/processes.hpp"
#include "contract/channel.h"
#include "spawn/spawner.hpp"

namespace liveswap::preflight {

// How a child came to its end.
struct ChildEnd {
  enum class How { exited, killed, overdue };
  How how = How::exited;
  int number = 0;      // exit status, or signal
  std::string output;  // of both kinds: the last 16 KiB
  std::vector<LeftProcess>
      left;  // that outlived it, and the killing by a subreaper of its own (LIVESWAP_LEFT)
};

// A frame on the channel. The limit that it returns counts from now and takes the place of the one before.
using OnFrame = std::function<std::optional<std::chrono::milliseconds>(const liveswap_frame& frame,
                                                                       std::string_view text)>;

// Runs a child to its end, or ends it when the limit has passed: by SIGTERM, and a second later by SIGKILL
// for it and its process group. It gets /dev/null as input, a pipe for its output and, with `on_frame`, a
// worker channel; what it writes there, however much, does not put off the limit. Blocks. An error: it could
// not be started.
Result<ChildEnd> run_child(master::SpawnRequest request, std::chrono::milliseconds limit,
                           const OnFrame& on_frame);

}  // namespace liveswap::preflight
