#pragma once

#include <string>

#include "lines.hpp"

// How a command ended. `problem` says why it could not be run, or not be followed to its end; empty
// otherwise.
struct Ending {
  std::string problem;
  int status = 0;  // as waitpid gives it
};

// Runs a shell command with LIVESWAP_VALUE set to `value`, nothing on its standard input, and none of this
// process' descriptors, and waits until the shell has ended. Processes that it left in the background are not
// waited for, even when they hold its output open.
Ending run_command(const char* command, const char* value, Lines& out, Lines& err);
