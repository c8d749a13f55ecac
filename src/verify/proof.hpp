#pragma once

#include <functional>

#include "verify/findings.hpp"
#include "verify/interrupt.hpp"

namespace liveswap::verify {

// Does the whole verification: starts the application, gives it load, measures, upgrades it good and bad,
// measures again, stops it and removes everything. `say` gets a line for people whenever something has been
// done. An error when the application could not even be started, or a signal came: nothing was found out
// then. Blocks; a minute or so. Every child of this process is ended.
Result<Findings> prove(const Task& task, Interrupt& interrupt,
                       const std::function<void(const std::string&)>& say);

}  // namespace liveswap::verify
