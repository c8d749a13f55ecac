#pragma once

#include <string>

#include "load/accounting.hpp"
#include "load/pool.hpp"
#include "load/program/command_line.hpp"

namespace liveswap::load {

// What a run was and came to.
struct Report {
  const CommandLine& options;
  const Accounting& accounting;
  const ConnectionCounts& connections;
  const std::vector<Timeline::Bucket>& timeline;
  Time elapsed{};
  Time cpu{};  // of this client
};

// For people, in a few lines.
std::string as_text(const Report& report);

// Everything. One object, with a line end.
std::string as_json(const Report& report);

}  // namespace liveswap::load
