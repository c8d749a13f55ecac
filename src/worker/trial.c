#include "trial.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/channel.h"
#include "execute.h"
#include "launch/child_output.h"
#include "launch/find_program.h"
#include "launch/program_check.h"
#include "launch/resolve.h"
#include "worker/base/environment.h"
#include "worker/base/libc.h"
#include "worker/link/channel.h"

enum { WHY_SIZE = 2048, ERRORS_SIZE = 8 * 1024, OUTPUT_SIZE = 256 * 1024, VERSION_SIZE = 200 };

static struct launch_plan plan;
static char output[OUTPUT_SIZE];
static char errors[OUTPUT_SIZE];
static char answer[LIVESWAP_TEXT_MAX];
static size_t answer_size;

static void add_line(const char* head, const char* text) {
  const int size = snprintf(answer + answer_size, sizeof answer - answer_size, "%s%s\n", head, text);
  if (size > 0 && (size_t)size < sizeof answer - answer_size) answer_size += (size_t)size;
}

/* ---- a program: its libraries ---- */

/* The loader lists them with LD_TRACE_LOADED_OBJECTS, as ldd(1) does, and runs no code of the program. */
static char** variables_for_trace(const struct options* options) {
  static const char* const without[] = {"LD_PRELOAD", "LD_TRACE_LOADED_OBJECTS", NULL};
  char hook[PATH_MAX];
  char why[WHY_SIZE];
  if (!hook_find(hook, sizeof hook, why, sizeof why)) channel_fail(LIVESWAP_STAGE_SPAWN, "%s", why);
  const char* const more[] = {hook_preload(hook, options->launch.environment), "LD_TRACE_LOADED_OBJECTS=1"};
  char** const list = environment_join(options->launch.environment, without, more, 2);
  if (more[0] == NULL || list == NULL) channel_fail(LIVESWAP_STAGE_SPAWN, "no memory for the check");
  return list;
}

/* "\tlibuv.so.1 => /usr/lib/libuv.so.1 (0x00007f…)": adds the path. "\tlibuv.so.1 => not found": fails. */
static void take_library(char* line) {
  static const char arrow[] = " => ";
  char* const to = strstr(line, arrow);
  if (to == NULL) return;
  char* const path = to + sizeof arrow - 1;
  *to = '\0';
  if (strncmp(path, "not found", strlen("not found")) == 0)
    channel_fail(LIVESWAP_STAGE_LINK, "%s needs the library %s, which is not found", plan.path,
                 line + strspn(line, " \t"));
  char* const end = strstr(path, " (0x");
  if (end != NULL) *end = '\0';
  if (path[0] == '/') add_line("", path);
}

static void check_libraries(struct options* options) {
  char* words[] = {plan.path, NULL};
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_LINK);
  const int status =
      launch_child_output(plan.path, words, variables_for_trace(options), output, errors, sizeof output);
  if (status != 0)
    channel_fail(LIVESWAP_STAGE_LINK, "%s cannot be loaded: %.*s", plan.path, ERRORS_SIZE,
                 errors[0] != '\0' ? errors : "the dynamic loader gave no reason");
  for (char* rest = output; *rest != '\0';) {
    char* const line = rest;
    rest += strcspn(rest, "\n");
    if (*rest != '\0') *rest++ = '\0';
    take_library(line);
  }
}

/* ---- a script: what its runtime says ---- */

static void cut_end(char* text) {
  size_t size = strlen(text);
  while (size > 0 && isspace((unsigned char)text[size - 1])) text[--size] = '\0';
}

/* The first line that is not empty, without control characters. */
static bool take_version(char* text) {
  char line[VERSION_SIZE] = {0};
  text += strspn(text, "\r\n \t");
  const size_t size = strcspn(text, "\r\n");
  if (size == 0) return false;
  memcpy(line, text, size < sizeof line ? size : sizeof line - 1);
  for (char* at = line; *at != '\0'; ++at)
    if (iscntrl((unsigned char)*at)) *at = ' ';
  cut_end(line);
  add_line("!version ", line);
  return true;
}

/* Lua has no --version. */
static void ask_version(struct options* options) {
  static const char* const ways[] = {"--version", "-v"};
  for (int i = 0; i < 2; ++i) {
    char* words[] = {plan.run[0], (char*)ways[i], NULL};
    const int status =
        launch_child_output(plan.program, words, options->launch.environment, output, errors, sizeof output);
    if (status == 0 && (take_version(output) || take_version(errors))) return;
  }
}

static const char* find_in_line(const char* line, size_t size, const char* part) {
  return memmem(line, size, part, strlen(part));
}

/* The line that says what is wrong ("SyntaxError: …", "x.rb:1: syntax error"); else the first one. */
static const char* telling_line(const char* text, size_t* size) {
  static const char* const signs[] = {"Error:", "error:", "syntax error", "Parse error"};
  for (size_t i = 0; i < sizeof signs / sizeof signs[0]; ++i) {
    for (const char* line = text; *line != '\0'; line += *size + (line[*size] != '\0')) {
      *size = strcspn(line, "\n");
      if (find_in_line(line, *size, signs[i]) != NULL) return line;
    }
  }
  text += strspn(text, "\n");
  *size = strcspn(text, "\n");
  return text;
}

/* The first line of a reason stands alone in a status or a log. */
static _Noreturn void fail_syntax(const char* checker, const char* text) {
  size_t size = 0;
  const char* const line = telling_line(text, &size);
  const bool is_all = strcspn(text, "\n") == strlen(text);
  if (text[0] == '\0')
    channel_fail(LIVESWAP_STAGE_SYNTAX, "%s finds an error in %s, and gives no reason", checker, plan.path);
  channel_fail(LIVESWAP_STAGE_SYNTAX, "%s finds an error in %s: %.*s%s%s", checker, plan.path, (int)size,
               line, is_all ? "" : "\n", is_all ? "" : text);
}

static void check_syntax(struct options* options) {
  char program[PATH_MAX];
  char* words[LAUNCH_WORDS_MAX + 2] = {NULL};
  size_t count = 0;
  for (; plan.check[count] != NULL; ++count) words[count] = plan.check[count];
  if (count == 0 || !launch_find_program(words[0], program, sizeof program)) return;
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_SYNTAX);
  words[count] = plan.path;
  const int status =
      launch_child_output(program, words, options->launch.environment, output, output, ERRORS_SIZE);
  if (status == 0) return;
  cut_end(output);
  fail_syntax(words[0], output);
}

static void check_script(struct options* options) {
  char why[WHY_SIZE];
  if (!launch_check_trust(plan.program, why, sizeof why) || !launch_check_trust(plan.binary, why, sizeof why))
    channel_fail(LIVESWAP_STAGE_OPEN, "the runtime %s", why);
  add_line("!runtime ", plan.program);
  ask_version(options);
  check_syntax(options);
}

_Noreturn void trial_run(struct options* options) {
  char why[WHY_SIZE];
  char hook[PATH_MAX];
  channel_send(
      (struct liveswap_frame){
          .kind = LIVESWAP_STAGED, .value = LIVESWAP_STAGE_OPEN, .count = LIVESWAP_CHANNEL_VERSION},
      NULL, 0);
  if (!launch_resolve(options->path, &options->launch, &plan, why, sizeof why) ||
      !launch_check_program(plan.binary, why, sizeof why))
    channel_fail(LIVESWAP_STAGE_OPEN, "%s", why);
  if (!hook_find(hook, sizeof hook, why, sizeof why)) channel_fail(LIVESWAP_STAGE_SPAWN, "%s", why);
  add_line("!kind ", plan.kind == LAUNCH_SCRIPT ? "script" : "program");
  if (plan.kind == LAUNCH_SCRIPT) check_script(options);
  else check_libraries(options);
  channel_send((struct liveswap_frame){.kind = LIVESWAP_TASK_DONE}, answer, answer_size);
  libc.exit(0);
}
