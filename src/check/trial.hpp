#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "check/child_run.hpp"
#include "liveswap.hpp"

namespace liveswap::preflight {

// What became of a library in a worker host that checked it (contract/channel.h, --check).
struct Trial {
  int stage = LIVESWAP_STAGE_SPAWN;  // enum liveswap_stage: the last one it reached, or failed at
  bool passed = false;
  std::string failure;              // what the host said about it; empty: nothing, it ended or hung
  std::uint64_t threads = 0;        // that it has left running
  std::vector<std::string> loaded;  // paths of the library and of all that was loaded with it
  std::vector<std::string> log;     // liveswap_log
  std::chrono::microseconds load{
      0};  // from the start of the process until it was loaded, entry and note found
  std::chrono::microseconds selftest{0};  // from then until it had passed
  ChildEnd end;
};

// How long the process may take to end once the library has passed.
constexpr Milliseconds exit_limit{2'000};

// An error: the host could not be started.
Result<Trial> run_trial(const std::string& host, const std::string& path, const CheckOptions& options);

}  // namespace liveswap::preflight
