#pragma once

#include "cli/arguments.hpp"

// Each function carries out one command, prints the result and returns the exit status.
namespace liveswap::cli {

int run_start(const Arguments& arguments);
// Adds what a state cannot say to the options of a re-executed master that was started with these arguments.
void complete_resumed(const Arguments& arguments, Options& options);
int run_upgrade(const Arguments& arguments);  // and rollback
int run_history(const Arguments& arguments);
int run_receipt(const Arguments& arguments);
int run_status(const Arguments& arguments);
int run_verify(const Arguments& arguments);

int run_list(const Arguments& arguments);
int run_check(const Arguments& arguments);
int run_config(const Arguments& arguments);
int run_reload(const Arguments& arguments);

// promote, abort, message, kill, die, stop, forks: print one line.
int run_control(const Arguments& arguments);

// Dispatches to the functions above, or prints help.
int run_command(const Arguments& arguments);

}  // namespace liveswap::cli
