#pragma once

#include <string>

#include "load/accounting.hpp"
#include "load/pool.hpp"
#include "load/program/command_line.hpp"

namespace liveswap::load {

// The settings and the result of a run.
struct Report {
  const CommandLine& options;
  const Accounting& accounting;
  const ConnectionCounts& connections;
  const std::vector<Timeline::Bucket>& timeline;
  Time elapsed{};
  Time cpu{};  // CPU time of this client
};

// For people, in a few lines.
std::string as_text(const Report& report);

// All values, as one JSON object and a newline.
std::string as_json(const Report& report);

}  // namespace liveswap::load
