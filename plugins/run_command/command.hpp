#pragma once

#include <string>

#include "lines.hpp"

// The result of a command. `problem`: why the command could not be started or awaited; empty: none.
struct Ending {
  std::string problem;
  int status = 0;  // as from waitpid()
};

// Runs a shell command with LIVESWAP_VALUE=`value`, empty standard input and no other descriptors of this
// process. Blocks until the shell exits. Does not wait for background processes, even if they hold the output
// open.
Ending run_command(const char* command, const char* value, Lines& out, Lines& err);
