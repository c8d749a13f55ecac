/* A list of variables, as execve() and main() have it. Nothing is allocated, except by environment_join(). */
#ifndef LIVESWAP_WORKER_BASE_ENVIRONMENT_H
#define LIVESWAP_WORKER_BASE_ENVIRONMENT_H

#include <stddef.h>

/* The value of the last variable with this name, within the list; NULL: none. */
char* environment_value(char* const* list, const char* name);

/* Removes all variables with this name, and overwrites their bytes: /proc/PID/environ shows the memory. The
 * list ends with one NULL for each, since programs look for the auxiliary vector behind it. */
void environment_remove(char** list, const char* name);

/* Cuts the directory `.needed` beside `path` off the end of LD_LIBRARY_PATH, where the master has put it for
 * the loader of this process (contract/channel.h). */
void environment_hide_needed(char** list, const char* path);

/* A new list: that one without the named variables, and then `count` further ones. NULL: no memory. */
char** environment_join(char* const* list, const char* const* without, const char* const* more, size_t count);

#endif
