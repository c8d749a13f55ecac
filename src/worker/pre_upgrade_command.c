#include "pre_upgrade_command.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/channel.h"
#include "launch/child_output.h"
#include "launch/resolve.h"
#include "launch/runtimes.h"
#include "worker/link/channel.h"

enum { OUTPUT_SIZE = 64 * 1024, WHY_SIZE = 2048 };

/* The path is printed in a line of its own, behind what the module has printed. */
static const char node_module[] =
    "const [, file, value] = process.argv;\n"
    "const found = require(file);\n"
    "const run = found && found.default || found;\n"
    "const done = (error, path) => {\n"
    "  if (error) console.error(error.message || String(error));\n"
    "  process.stdout.write(error || !path ? '' : '\\n' + require('path').resolve(path) + '\\n',\n"
    "    () => process.exit(error ? 1 : 0));\n"
    "};\n"
    "if (typeof run === 'function') {\n"
    "  process.once('beforeExit', () => done('it has ended without a call of its callback'));\n"
    "  run({cmd: 'upgrade', value}, done);\n"
    "}\n";

static struct launch_plan plan;
static char output[OUTPUT_SIZE];
static char errors[OUTPUT_SIZE];

static bool is_of_node(void) {
  const struct launch_runtime* const node = launch_runtime_of_ending("js");
  return plan.kind == LAUNCH_SCRIPT && launch_runtime_of_name(launch_base_name(plan.run[0])) == node &&
         launch_runtime_of_ending(launch_ending(plan.path)) == node;
}

static void make_words(const struct options* options, char** words) {
  size_t at = 0;
  for (; plan.kind == LAUNCH_SCRIPT && plan.run[at] != NULL; ++at) words[at] = plan.run[at];
  if (is_of_node()) {
    words[at++] = (char*)"-e";
    words[at++] = (char*)node_module;
    words[at++] = (char*)"--";
  }
  words[at++] = plan.path;
  words[at++] = options->value;
  words[at] = NULL;
}

static void cut_end(char* text) {
  size_t size = strlen(text);
  while (size > 0 && strchr("\r\n \t", text[size - 1]) != NULL) text[--size] = '\0';
}

static const char* last_line(char* text) {
  cut_end(text);
  const char* const line = strrchr(text, '\n');
  return line != NULL ? line + 1 : text;
}

void pre_upgrade_command(const struct options* options, const char** error, const char** path) {
  char why[WHY_SIZE];
  char* words[LAUNCH_WORDS_MAX + 6];
  *error = *path = NULL;
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_OPEN);
  if (!launch_resolve(options->path, &options->launch, &plan, why, sizeof why))
    channel_fail(LIVESWAP_STAGE_OPEN, "%s", why);
  make_words(options, words);
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_START);
  const int status =
      launch_child_output(plan.program, words, options->launch.environment, output, errors, sizeof output);
  if (status == CHILD_NOT_STARTED)
    channel_fail(LIVESWAP_STAGE_START, "cannot execute %s: %s", plan.program, strerror(errno));
  /* To the master's log. */
  dprintf(STDOUT_FILENO, "%s", output);
  dprintf(STDERR_FILENO, "%s", errors);
  cut_end(errors);
  if (status != 0) {
    *error =
        errors[0] != '\0' ? errors : "it has ended with a failure, and written nothing to standard error";
    return;
  }
  const char* const line = last_line(output);
  if (line[0] == '/') *path = line;
}
