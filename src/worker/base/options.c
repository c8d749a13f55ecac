#include "options.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "contract/channel.h"

static bool parse_number(const char* text, int64_t min, int64_t max, int64_t* number) {
  char* end = NULL;
  errno = 0;
  const long long parsed = strtoll(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || parsed < min || parsed > max) return false;
  *number = parsed;
  return true;
}

static bool parse_pre_upgrade(struct options* options, int argc, char** argv) {
  if (argc != 4) return false;
  options->mode = MODE_PRE_UPGRADE;
  options->path = argv[2];
  options->value = argv[3];
  /* The plugin's argv must end after the path. */
  argv[3] = NULL;
  options->arguments = argv + 2;
  options->argument_count = 1;
  return options->path[0] == '/';
}

/* `*choice` becomes the index of `word` in `words`. False: not found. */
static bool parse_choice(const char* const* words, int count, const char* word, int* choice) {
  for (*choice = 0; *choice < count; ++*choice)
    if (strcmp(words[*choice], word) == 0) return true;
  return false;
}

/* What starts the release. False: another option. */
static bool parse_launch(struct options* options, const char* name, char* value) {
  if (strcmp(name, "--as") != 0) return launch_take_option(&options->launch, name, value);
  options->as = value;
  return true;
}

static bool parse_more(struct options* options, const char* name, char* value) {
  static const char* const intercepts[] = {"libc", "seccomp"};
  static const char* const keepalives[] = {"end", "migrate", "keep", "http"};
  int choice = 0;
  if (strcmp(name, "--entry") == 0) {
    options->entry = value;
    return *value != '\0';
  }
  if (strcmp(name, "--intercept") == 0) {
    const bool found = parse_choice(intercepts, 2, value, &choice);
    options->intercept = (enum intercept)choice;
    return found;
  }
  if (strcmp(name, "--keepalive") == 0) {
    const bool found = parse_choice(keepalives, 4, value, &choice);
    options->keepalive = (enum keepalive)choice;
    options->keepalive_is_given = true;
    return found;
  }
  if (strcmp(name, "--keepalive-grace") == 0)
    return parse_number(value, 0, INT_MAX, &options->keepalive_grace_ms);
  if (strcmp(name, "--heartbeat") == 0) return parse_number(value, 1, INT_MAX, &options->heartbeat_ms);
  if (strcmp(name, "--await") == 0) {
    options->awaits_nothing = strcmp(value, "nothing") == 0;
    return options->awaits_nothing;
  }
  return parse_launch(options, name, value);
}

/* Parses pairs of words from `at` on, up to the path. Returns the index of the path; 0 on an error. */
static int parse_rest(struct options* options, int at, int argc, char** argv) {
  while (at + 1 < argc && argv[at][0] == '-') {
    if (!parse_more(options, argv[at], argv[at + 1])) return 0;
    at += 2;
  }
  if (at >= argc || argv[at][0] != '/') return 0;
  options->path = argv[at];
  options->arguments = argv + at;
  options->argument_count = argc - at;
  return at;
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
  return parse_rest(options, PATH, argc, argv) > 0;
}

/* A worker's words come one a line in `text`; PATH and ARGs are the command line. */
static bool parse_environment(struct options* options, char* text, int argc, char** argv) {
  enum { WORDS_MAX = 64 + 4 * LAUNCH_RUNTIMES_MAX };
  static char* words[WORDS_MAX + 2];
  int count = 1; /* the first is the program's name */
  words[0] = text;
  options->words = strdup(text);
  for (char* word = text; word != NULL && count < WORDS_MAX;) {
    char* const end = strchr(word, '\n');
    if (end != NULL) *end = '\0';
    words[count++] = word;
    word = end != NULL ? end + 1 : NULL;
  }
  words[count] = argv[0];
  if (argc < 1 || !parse_worker(options, count + 1, words) || options->path != argv[0]) return false;
  options->arguments = argv;
  options->argument_count = argc;
  return true;
}

static void set_defaults(struct options* options) {
  *options = (struct options){
      .slot = -1, .drain_limit_ms = -1, .entry = "liveswap_main", .keepalive_grace_ms = 1000};
}

bool options_parse(struct options* options, int argc, char** argv) {
  char* const text = getenv(LIVESWAP_WORKER_VARIABLE);
  set_defaults(options);
  if (argc > 1 && strcmp(argv[1], "--pre-upgrade") == 0) return parse_pre_upgrade(options, argc, argv);
  if (argc > 1 && strcmp(argv[1], "--check") == 0) {
    options->mode = MODE_CHECK;
    return parse_rest(options, 2, argc, argv) > 0;
  }
  if (text == NULL) return parse_worker(options, argc, argv);
  unsetenv(LIVESWAP_WORKER_VARIABLE);
  return parse_environment(options, text, argc, argv);
}

bool options_parse_text(struct options* options, char* text, int argc, char** argv) {
  set_defaults(options);
  return parse_environment(options, text, argc, argv);
}

static atomic_bool seccomp_is_on;

bool options_seccomp_is_on(void) { return atomic_load(&seccomp_is_on); }
void options_set_seccomp(bool is_on) { atomic_store(&seccomp_is_on, is_on); }
