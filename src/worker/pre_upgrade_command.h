#ifndef LIVESWAP_WORKER_PRE_UPGRADE_COMMAND_H
#define LIVESWAP_WORKER_PRE_UPGRADE_COMMAND_H

#include <stddef.h>

#include "worker/base/options.h"

/*
 * Runs a program or a script in the place of a pre-upgrade plugin, with the value as its argument. With an
 * exit status other than 0 the upgrade is refused: `*error` is what it has written to standard error. Else
 * `*path` is the last line of its standard output, if that is an absolute path: the release that shall be
 * taken.
 *
 * A module of Node that exports a function is called: `function (value, callback)`, where `callback(error,
 * path)` ends the plugin.
 *
 * Reports a failure to start it to the master, and ends the process then. Both texts stay valid; NULL: none.
 */
void pre_upgrade_command(const struct options* options, const char** error, const char** path);

#endif
