/*
 * What the parts of launch_resolve() have in common.
 */
#ifndef LIVESWAP_LAUNCH_RESOLUTION_H
#define LIVESWAP_LAUNCH_RESOLUTION_H

#include <stdbool.h>
#include <stddef.h>

#include "resolve.h"

struct resolution {
  const char* path; /* of the release */
  const struct launch_options* options;
  struct launch_plan* plan;
  char* why;
  size_t why_size;
};

/* False. */
__attribute__((format(printf, 2, 3))) bool launch_refuse(const struct resolution* r, const char* format, ...);

/* The command of "ENDING=COMMAND" for this ending, else NULL. */
const char* launch_find_command(const char* const* list, int count, const char* ending);

#endif
