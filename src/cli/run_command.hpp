#pragma once

#include "cli/arguments.hpp"

// Each carries out one command, prints what came of it and returns the exit status.
namespace liveswap::cli {

int run_start(const Arguments& arguments);
int run_upgrade(const Arguments& arguments);  // and rollback
int run_history(const Arguments& arguments);
int run_receipt(const Arguments& arguments);
int run_status(const Arguments& arguments);
int run_verify(const Arguments& arguments);

int run_list(const Arguments& arguments);
int run_check(const Arguments& arguments);

// promote, abort, message, kill, die, stop, forks: ask and print one line.
int run_control(const Arguments& arguments);

// Any of them, or the help.
int run_command(const Arguments& arguments);

}  // namespace liveswap::cli
