#pragma once

#include <functional>

#include "verify/findings.hpp"
#include "verify/interrupt.hpp"

namespace liveswap::verify {

// Runs the whole verification: starts the application and the load, measures, makes good and faulty upgrades,
// measures, stops and cleans up. `say` receives a progress line for each step. An error: the application did
// not start, or a signal came. Blocks for about a minute. Ends every child of this process.
Result<Findings> prove(const Task& task, Interrupt& interrupt,
                       const std::function<void(const std::string&)>& say);

}  // namespace liveswap::verify
