/*
 * What starts a release: from the file or directory in the store and the options, and nothing else, so that a
 * respawned worker is started as the first one was.
 *
 * The runtime of a script is, in this order: `runtime`, the entry of `runtimes` for the name's ending, the
 * `#!` line, the table of runtimes.c for the ending. In a directory without --start, the files config.ru,
 * __main__.py, and package.json or index.js tell what starts; node finds the `main` of package.json itself.
 */
#ifndef LIVESWAP_LAUNCH_RESOLVE_H
#define LIVESWAP_LAUNCH_RESOLVE_H

#include <limits.h>
#include <string.h>

#include "kind.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LAUNCH_RUNTIMES_MAX = 64, LAUNCH_WORDS_MAX = 32, LAUNCH_TEXT_MAX = 8192 };

/* Between two words of a command in one text. */
#define LAUNCH_SEPARATOR '\x1f'

struct launch_options {
  const char* kind;  /* a word of launch_kind_from_word(); NULL: by content */
  const char* start; /* relative path of what starts a directory; NULL: found there */
  /* Commands: "js=WORD<separator>WORD …", without an ending ("=WORD …") for this application. */
  const char* runs[LAUNCH_RUNTIMES_MAX];
  const char* checks[LAUNCH_RUNTIMES_MAX];
  int run_count;
  int check_count;
  char* const* environment; /* of a runtime that is asked for its path; NULL: none is executed for that */
};

struct launch_plan {
  enum launch_kind kind;
  char path[PATH_MAX];    /* what starts: the file, or the directory itself for node and python */
  char program[PATH_MAX]; /* the program to execute: the runtime, or `path` */
  char binary[PATH_MAX];  /* the ELF file that the kernel then loads: `program`, or its own interpreter */
  /* Of a script: argv of the runtime up to the script; the command that checks it, without the script, empty:
   * none. Lists end with NULL. */
  char* run[LAUNCH_WORDS_MAX + 1];
  char* check[LAUNCH_WORDS_MAX + 1];
  char text[LAUNCH_TEXT_MAX]; /* of the words */
  size_t text_size;
};

/* `--kind`, `--start`, `--runtime` or `--runtime-check` with its value, which must outlive `options`. False:
 * another option, or one too many. Inline: the hook reads these options and is linked without this library.
 */
static inline bool launch_take_option(struct launch_options* options, const char* name, const char* value) {
  if (strcmp(name, "--kind") == 0) options->kind = value;
  else if (strcmp(name, "--start") == 0) options->start = value;
  else if (strcmp(name, "--runtime") == 0 && options->run_count < LAUNCH_RUNTIMES_MAX)
    options->runs[options->run_count++] = value;
  else if (strcmp(name, "--runtime-check") == 0 && options->check_count < LAUNCH_RUNTIMES_MAX)
    options->checks[options->check_count++] = value;
  else return false;
  return true;
}

/* Only the kind: cheap. `path`: absolute. Without a readable file: plugin. For LAUNCH_UNCLEAR see
 * launch_resolve(). */
enum launch_kind launch_resolve_kind(const char* path, const struct launch_options* options);

/* Fills in `plan`. Blocks as long as a runtime takes that is asked for its path. False: `why` is a sentence
 * for people, with the path. */
bool launch_resolve(const char* path, const struct launch_options* options, struct launch_plan* plan,
                    char* why, size_t why_size);

#ifdef __cplusplus
}
#endif

#endif
