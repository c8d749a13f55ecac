#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "check/child_run.hpp"
#include "liveswap.hpp"

namespace liveswap::checks {

// The result of a trial load: a worker host with --check (contract/channel.h).
struct Trial {
  int stage = LIVESWAP_STAGE_SPAWN;  // enum liveswap_stage: the last one reached, or the failed one
  bool passed = false;
  std::string kind;                       // "program" or "script"; empty: a plugin
  std::string runtime;                    // of a script
  std::string version;                    // of that runtime
  std::string failure;                    // as the host reported it; empty: it passed, exited or hung
  std::uint64_t threads = 0;              // still running after the self-test
  std::vector<std::string> loaded;        // paths of all loaded libraries, with the checked one
  std::vector<std::string> log;           // from liveswap_log()
  std::chrono::microseconds load{0};      // from process start until loaded, entry and ABI note found
  std::chrono::microseconds selftest{0};  // duration after that
  ChildEnd end;
};

// Time for the process to exit after the self-test has passed.
constexpr Milliseconds exit_limit{2'000};

// Blocks. The error: the host could not be started.
Result<Trial> run_trial(const std::string& host, const std::string& path, const CheckOptions& options);

}  // namespace liveswap::checks
