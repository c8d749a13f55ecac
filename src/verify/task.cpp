#include "verify/task.hpp"

namespace liveswap::verify {

std::string_view word(Fault fault) {
  switch (fault) {
    case Fault::crash_at_load: return "crash-at-load";
    case Fault::crash_at_start: return "crash-at-start";
    case Fault::hang_at_load: return "hang-at-load";
    case Fault::never_ready: return "never-ready";
    case Fault::returns_at_once: return "returns-at-once";
    case Fault::slow_drain: return "slow-drain";
    case Fault::killed_worker: return "killed-worker";
    case Fault::overwrite: return "overwrite";
  }
  return "";
}

std::optional<Fault> fault_of(std::string_view text) {
  for (const Fault fault : all_faults)
    if (word(fault) == text) return fault;
  return std::nullopt;
}

}  // namespace liveswap::verify
