#include "resolve.h"

#include <string.h>
#include <unistd.h>

#include "child_output.h"
#include "find_program.h"
#include "resolution.h"
#include "runtimes.h"
#include "start_file.h"

enum { SHEBANGS_MAX = 4, LINE_MAX_SIZE = 512 };

/* Copies a word into the plan. NULL: no room. */
static char* keep(struct launch_plan* plan, const char* word) {
  const size_t size = strlen(word) + 1;
  if (size > sizeof plan->text - plan->text_size) return NULL;
  char* const kept = memcpy(plan->text + plan->text_size, word, size);
  plan->text_size += size;
  return kept;
}

static bool add(const struct resolution* r, char** list, const char* word) {
  size_t count = 0;
  while (list[count] != NULL) ++count;
  list[count] = count < LAUNCH_WORDS_MAX ? keep(r->plan, word) : NULL;
  return list[count] != NULL || launch_refuse(r, "the command that runs %s is too long", r->path);
}

static bool add_all(const struct resolution* r, char** list, const char* const* words) {
  for (int i = 0; i < LAUNCH_TABLE_WORDS && words[i] != NULL; ++i)
    if (!add(r, list, words[i])) return false;
  return true;
}

/* The words of "WORD<separator>WORD …". */
static bool add_command(const struct resolution* r, char** list, const char* command) {
  char word[PATH_MAX];
  while (*command != '\0') {
    const char separator[] = {LAUNCH_SEPARATOR, '\0'};
    const size_t size = strcspn(command, separator);
    if (size >= sizeof word) return launch_refuse(r, "the command that runs %s is too long", r->path);
    memcpy(word, command, size);
    word[size] = '\0';
    if (!add(r, list, word)) return false;
    command += size;
    command += *command == LAUNCH_SEPARATOR;
  }
  return true;
}

static const char* find_run(const struct launch_options* options, const char* ending) {
  const char* const own = launch_find_command(options->runs, options->run_count, "");
  return own != NULL ? own : launch_find_command(options->runs, options->run_count, ending);
}

static const char* find_check(const struct launch_options* options, const char* ending) {
  const char* const own = launch_find_command(options->checks, options->check_count, "");
  return own != NULL ? own : launch_find_command(options->checks, options->check_count, ending);
}

static bool refuse_shell(const struct resolution* r, const char* path) {
  return launch_refuse(
      r,
      "%s is a shell script: the server would be another process, which the shell starts, and its "
      "connections could not be handed over. Give liveswap the program or script itself, with its "
      "arguments behind `--`, and variables by --env",
      path);
}

/* Whether the kernel would execute a shell for this file. */
static bool is_shell_script(const char* path) {
  char line[LINE_MAX_SIZE];
  char* words[3];
  return launch_read_shebang(path, line, sizeof line) && launch_split_shebang(line, words, 3) > 0 &&
         launch_is_shell(launch_base_name(words[0]));
}

/* A shell script in the runtime's place (pyenv, rbenv) knows the real one, which tells its own path. */
static bool ask(const struct resolution* r, const struct launch_runtime* runtime) {
  char output[PATH_MAX];
  char* words[LAUNCH_TABLE_WORDS + 2] = {r->plan->program};
  for (int i = 0; i < LAUNCH_TABLE_WORDS; ++i) words[i + 1] = (char*)runtime->ask[i];
  const bool may_ask = runtime->ask[0] != NULL && r->options->environment != NULL;
  const int status = !may_ask ? CHILD_NOT_STARTED
                              : launch_child_output(r->plan->program, words, r->options->environment, output,
                                                    (char[PATH_MAX]){0}, sizeof output);
  output[status == CHILD_NOT_STARTED ? 0 : strcspn(output, "\n")] = '\0';
  if (status == 0 && output[0] == '/' && access(output, X_OK) == 0 && !is_shell_script(output)) {
    memcpy(r->plan->program, output, sizeof output);
    return true;
  }
  return launch_refuse(
      r,
      "the runtime %s of %s is a shell script, which starts another program: name that program "
      "(`runtimes:` in the configuration file, or --runtime)",
      r->plan->program, r->path);
}

static bool find_runtime_program(const struct resolution* r, const struct launch_runtime* runtime) {
  for (const char* const* name = runtime->names; name < runtime->names + 3 && *name != NULL; ++name) {
    if (!launch_find_program(*name, r->plan->program, sizeof r->plan->program)) continue;
    return add(r, r->plan->run, *name) && (!is_shell_script(r->plan->program) || ask(r, runtime));
  }
  return launch_refuse(
      r,
      "%s needs the runtime %s, which is not in the PATH of the workers; install it, or name it "
      "(`runtimes:` in the configuration file, or --runtime)",
      r->path, runtime->names[0]);
}

static bool use_table(const struct resolution* r, const struct launch_runtime* runtime) {
  return find_runtime_program(r, runtime) && add_all(r, r->plan->run, runtime->run);
}

/* Words of the user or of a `#!` line: the first is found in PATH, or is a path. */
static bool find_given_program(const struct resolution* r) {
  const char* const name = r->plan->run[0];
  const struct launch_runtime* const runtime = launch_runtime_of_name(launch_base_name(name));
  if (launch_is_shell(launch_base_name(name))) return refuse_shell(r, r->plan->path);
  if (!launch_find_program(name, r->plan->program, sizeof r->plan->program))
    return launch_refuse(r, "%s needs the runtime %s, which is no executable file%s", r->path, name,
                         strchr(name, '/') != NULL ? "" : " in the PATH of the workers");
  if (!is_shell_script(r->plan->program)) return true;
  static const struct launch_runtime none;
  return ask(r, runtime != NULL ? runtime : &none);
}

static bool use_shebang(const struct resolution* r) {
  char line[LINE_MAX_SIZE];
  char* words[LAUNCH_WORDS_MAX];
  const size_t count = launch_read_shebang(r->plan->path, line, sizeof line)
                           ? launch_split_shebang(line, words, LAUNCH_WORDS_MAX)
                           : 0;
  for (size_t i = 0; i < count; ++i)
    if (!add(r, r->plan->run, words[i])) return false;
  return true;
}

/* Fills in `run` and `program`. */
static bool find_runtime(const struct resolution* r, const char* ending) {
  const struct launch_runtime* const runtime = launch_runtime_of_ending(ending);
  const char* const given = find_run(r->options, ending);
  const bool is_shell = runtime != NULL && launch_is_shell(runtime->names[0]);
  if (given != NULL) return add_command(r, r->plan->run, given) && find_given_program(r);
  if (!use_shebang(r)) return false;
  if (r->plan->run[0] != NULL) return find_given_program(r);
  if (is_shell) return refuse_shell(r, r->plan->path);
  if (runtime != NULL) return use_table(r, runtime);
  return launch_refuse(
      r,
      "no runtime is known for %s: its name has no known ending, and it does not begin with `#!`; "
      "name one (`runtimes:` in the configuration file, or --runtime)",
      r->plan->path);
}

/* Fills in `check`: that of the options, or of the table for the runtime that was found, with its program. */
static bool find_check_command(const struct resolution* r, const char* ending) {
  const char* const given = find_check(r->options, ending);
  if (given != NULL) return add_command(r, r->plan->check, given);
  const struct launch_runtime* runtime = launch_runtime_of_ending(ending);
  if (runtime == NULL) runtime = launch_runtime_of_name(launch_base_name(r->plan->run[0]));
  if (runtime == NULL || runtime->check[0] == NULL) return true;
  if (!add_all(r, r->plan->check, runtime->check)) return false;
  if (r->plan->check[0][0] != '\0') return true;
  /* A runtime that is not the table's may not have this check. */
  const bool is_its_own = launch_runtime_of_name(launch_base_name(r->plan->run[0])) == runtime;
  r->plan->check[0] = is_its_own ? r->plan->program : NULL;
  return true;
}

/* The ELF file that the kernel loads: a runtime may be a script of another one (puma). */
static bool find_binary(const struct resolution* r) {
  char line[LINE_MAX_SIZE];
  char* words[3];
  memcpy(r->plan->binary, r->plan->program, sizeof r->plan->binary);
  for (int i = 0; i < SHEBANGS_MAX; ++i) {
    if (!launch_read_shebang(r->plan->binary, line, sizeof line)) return true;
    if (launch_split_shebang(line, words, 3) == 0) break;
    if (launch_is_shell(launch_base_name(words[0]))) return refuse_shell(r, r->plan->binary);
    if (!launch_find_program(words[0], r->plan->binary, sizeof r->plan->binary))
      return launch_refuse(r, "the runtime %s of %s needs %s, which is no executable file", r->plan->program,
                           r->path, words[0]);
  }
  return launch_refuse(r, "the runtime %s of %s cannot be followed to a program", r->plan->program, r->path);
}

static bool resolve_script(const struct resolution* r, const char* ending) {
  return find_runtime(r, ending) && find_check_command(r, ending) && find_binary(r);
}

bool launch_resolve(const char* path, const struct launch_options* options, struct launch_plan* plan,
                    char* why, size_t why_size) {
  const struct resolution r = {path, options, plan, why, why_size};
  const char* ending = "";
  memset(plan, 0, sizeof *plan);
  if (!launch_find_start(&r, &ending)) return false;
  plan->kind = launch_kind_with(options, plan->path);
  switch (plan->kind) {
    case LAUNCH_PLUGIN: return true;
    case LAUNCH_SCRIPT: return resolve_script(&r, ending);
    case LAUNCH_PROGRAM:
      memcpy(plan->program, plan->path, sizeof plan->program);
      memcpy(plan->binary, plan->path, sizeof plan->binary);
      return true;
    case LAUNCH_UNCLEAR: break;
  }
  return launch_refuse(
      &r,
      "%s is a library that can also be executed: say which is meant, --kind plugin or --kind "
      "program",
      path);
}
