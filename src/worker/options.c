#include "options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char* text, int64_t min, int64_t max, int64_t* number) {
  char* end = NULL;
  errno = 0;
  const long long parsed = strtoll(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || parsed < min || parsed > max) return false;
  *number = parsed;
  return true;
}

static bool parse_hook(struct options* options, int argc, char** argv) {
  if (argc != 4) return false;
  options->mode = MODE_HOOK;
  options->path = argv[2];
  options->value = argv[3];
  /* The value is no argument of the plugin, and its argv has to end behind the path. */
  argv[3] = NULL;
  options->arguments = argv + 2;
  options->argument_count = 1;
  return options->path[0] == '/';
}

static bool parse_check(struct options* options, int argc, char** argv) {
  if (argc < 3) return false;
  options->mode = MODE_CHECK;
  options->path = argv[2];
  options->arguments = argv + 2;
  options->argument_count = argc - 2;
  return options->path[0] == '/';
}

static bool parse_worker(struct options* options, int argc, char** argv) {
  static const char* const names[] = {"--slot", "--generation", "--drain-limit", "--term-grace",
                                      "--listeners"};
  enum { NAMES = sizeof names / sizeof names[0], PATH = 1 + 2 * NAMES };
  if (argc <= PATH) return false;
  for (int i = 0; i < NAMES; ++i) {
    if (strcmp(argv[1 + 2 * i], names[i]) != 0) return false;
  }
  int64_t slot = 0;
  int64_t generation = 0;
  if (!parse_number(argv[2], 0, INT_MAX, &slot) || !parse_number(argv[4], 0, INT64_MAX, &generation) ||
      !parse_number(argv[6], -1, INT_MAX, &options->drain_limit_ms) ||
      !parse_number(argv[8], 0, INT_MAX, &options->term_grace_ms)) {
    return false;
  }
  options->slot = (int)slot;
  options->generation = (uint64_t)generation;
  options->listeners = argv[10];
  options->path = argv[PATH];
  options->arguments = argv + PATH;
  options->argument_count = argc - PATH;
  return options->path[0] == '/';
}

bool options_parse(struct options* options, int argc, char** argv) {
  *options = (struct options){.slot = -1, .drain_limit_ms = -1};
  if (argc > 1 && strcmp(argv[1], "--hook") == 0) return parse_hook(options, argc, argv);
  if (argc > 1 && strcmp(argv[1], "--check") == 0) return parse_check(options, argc, argv);
  return parse_worker(options, argc, argv);
}
