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

namespace liveswap::checks {

// How a child ended.
struct ChildEnd {
  enum class How { exited, killed, overdue };
  How how = How::exited;
  int number = 0;      // exit status or signal
  std::string output;  // stdout and stderr: the last 16 KiB
  // Processes that the child left behind: in its process group or with its output open. run_trial() adds
  // those that the subreaper of the worker host reported (LIVESWAP_LEFT).
  std::vector<LeftProcess> left;
};

// Called for each frame on the channel. A returned time limit starts now and replaces the previous one.
using OnFrame = std::function<std::optional<std::chrono::milliseconds>(const liveswap_frame& frame,
                                                                       std::string_view text)>;

// Runs a child until it exits. At the time limit, sends SIGTERM, and one second later SIGKILL to its process
// group. stdin is /dev/null, output goes to a pipe; with `on_frame`, the child has a worker channel. Output
// never extends the limit. Blocks. The error: the child could not be started.
Result<ChildEnd> run_child(spawn::Request request, std::chrono::milliseconds limit, const OnFrame& on_frame);

}  // namespace liveswap::checks
