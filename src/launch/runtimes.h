/* The runtimes that liveswap knows. A line for each; `runtimes:` in the configuration file adds others. */
#ifndef LIVESWAP_LAUNCH_RUNTIMES_H
#define LIVESWAP_LAUNCH_RUNTIMES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LAUNCH_TABLE_WORDS = 5 };

/* Lists of words end with NULL. A script's path follows `run` and `check`. */
struct launch_runtime {
  const char* endings[4];
  const char* names[3]; /* of the program; further ones are tried where the first is not found */
  const char* run[LAUNCH_TABLE_WORDS];   /* words behind the program */
  const char* check[LAUNCH_TABLE_WORDS]; /* how the runtime checks a script without running it; the program
                                            first, "" for that of `names`; empty: no check */
  /* Words behind the program with which it prints its own path. For a program that is a shell script which
   * looks for the real one (pyenv, rbenv, nodenv). */
  const char* ask[LAUNCH_TABLE_WORDS];
};

/* NULL: none. `ending` without the dot. */
const struct launch_runtime* launch_runtime_of_ending(const char* ending);

/* The runtime with a program of this name, also with a version behind ("python3.11"). NULL: none. */
const struct launch_runtime* launch_runtime_of_name(const char* name);

/* Whether a program of that name is a shell. */
bool launch_is_shell(const char* name);

#ifdef __cplusplus
}
#endif

#endif
