/*
 * Which file of a release starts, and of which kind it is.
 */
#ifndef LIVESWAP_LAUNCH_START_FILE_H
#define LIVESWAP_LAUNCH_START_FILE_H

#include "resolution.h"

/* Fills in `path` of the plan; `*ending` becomes that of the runtime. */
bool launch_find_start(const struct resolution* r, const char** ending);

/* A file with an ending that only the options know is a script. */
enum launch_kind launch_kind_with(const struct launch_options* options, const char* path);

#endif
