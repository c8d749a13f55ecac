#ifndef LIVESWAP_WORKER_EXECUTE_H
#define LIVESWAP_WORKER_EXECUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "worker/base/options.h"

/* The variables, besides LD_PRELOAD, by which this program tells the hook what it needs. The hook removes
 * them. */
#define HOOK_RELEASE "LIVESWAP_RELEASE"
/* The descriptor of the worker host's end of the words (control/words.h), and of the script's. */
#define HOOK_WORDS "LIVESWAP_HOOK_WORDS"

/* The variable of the script itself: descriptor, slot and generation. It stays. */
#define WORDS_VARIABLE "LIVESWAP_WORDS"

/* If the release is a program or a script, executes it with the hook, and does not return: on failure reports
 * why and ends the process. Returns for a plugin. The channel has been adopted; the other descriptors stay as
 * they are. */
void execute_program(struct options* options);

/* The path of the hook, beside this program. False: `why` says why it cannot be used. */
bool hook_find(char* path, size_t room, char* why, size_t why_size);

/* The value of LD_PRELOAD with the hook first, then what the user has set. NULL: no memory. */
char* hook_preload(const char* hook, char* const* environment);

#endif
