#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child_output.h"
#include "find_program.h"
#include "package_json.h"
#include "runtimes.h"

enum { SHEBANGS_MAX = 4, LINE_MAX_SIZE = 512 };

struct resolution {
  const char* path; /* of the release */
  const struct launch_options* options;
  struct launch_plan* plan;
  char* why;
  size_t why_size;
};

static __attribute__((format(printf, 2, 3))) bool refuse(const struct resolution* r, const char* format,
                                                         ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(r->why, r->why_size, format, arguments);
  va_end(arguments);
  return false;
}

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
  return list[count] != NULL || refuse(r, "the command that runs %s is too long", r->path);
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
    if (size >= sizeof word) return refuse(r, "the command that runs %s is too long", r->path);
    memcpy(word, command, size);
    word[size] = '\0';
    if (!add(r, list, word)) return false;
    command += size;
    command += *command == LAUNCH_SEPARATOR;
  }
  return true;
}

/* The command of "ENDING=COMMAND" for this ending, else NULL. */
static const char* find_command(const char* const* list, int count, const char* ending) {
  const size_t size = strlen(ending);
  for (int i = 0; i < count; ++i)
    if (strncmp(list[i], ending, size) == 0 && list[i][size] == '=') return list[i] + size + 1;
  return NULL;
}

static const char* find_run(const struct launch_options* options, const char* ending) {
  const char* const own = find_command(options->runs, options->run_count, "");
  return own != NULL ? own : find_command(options->runs, options->run_count, ending);
}

static const char* find_check(const struct launch_options* options, const char* ending) {
  const char* const own = find_command(options->checks, options->check_count, "");
  return own != NULL ? own : find_command(options->checks, options->check_count, ending);
}

/* ---- the file that starts ---- */

static bool exists(const char* directory, const char* name) {
  char path[PATH_MAX];
  const int size = snprintf(path, sizeof path, "%s/%s", directory, name);
  return size > 0 && (size_t)size < sizeof path && access(path, F_OK) == 0;
}

static bool leads_out(const char* relative) {
  if (relative[0] == '/' || relative[0] == '\0') return true;
  for (const char* part = relative; part != NULL; part = strchr(part, '/')) {
    part += *part == '/';
    if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0')) return true;
  }
  return false;
}

static bool set_path(const struct resolution* r, const char* directory, const char* name) {
  const int size =
      snprintf(r->plan->path, sizeof r->plan->path, "%s%s%s", directory, name[0] != '\0' ? "/" : "", name);
  return (size > 0 && (size_t)size < sizeof r->plan->path) ||
         refuse(r, "the path of %s is too long", r->path);
}

static bool starts_node(const char* directory) {
  return exists(directory, "index.js") || launch_package_has_main(directory);
}

/* What starts a directory; `*ending` becomes that of its runtime. */
static bool look_into(const struct resolution* r, const char** ending) {
  const bool ruby = exists(r->path, "config.ru");
  const bool python = exists(r->path, "__main__.py");
  const bool node = starts_node(r->path);
  if (ruby + python + node > 1)
    return refuse(r,
                  "the directory %s has more than one of config.ru, __main__.py, and package.json or "
                  "index.js: say what starts it (--start FILE)",
                  r->path);
  if (ruby + python + node == 0)
    return refuse(r,
                  "nothing in the directory %s says what starts it: found no package.json with `main`, "
                  "index.js, __main__.py or config.ru; say what does (--start FILE)",
                  r->path);
  *ending = ruby ? "ru" : python ? "py" : "js";
  return set_path(r, r->path, ruby ? "config.ru" : "");
}

static bool find_start(const struct resolution* r, const char** ending) {
  struct stat status;
  const char* const start = r->options->start;
  if (stat(r->path, &status) != 0) return refuse(r, "cannot open %s: %s", r->path, strerror(errno));
  if (!S_ISDIR(status.st_mode)) {
    if (start != NULL) return refuse(r, "--start %s is for a directory, and %s is a file", start, r->path);
    if (!set_path(r, r->path, "")) return false;
    *ending = launch_ending(r->plan->path);
    return true;
  }
  if (start == NULL) return look_into(r, ending);
  if (leads_out(start))
    return refuse(r, "--start %s: expected a path inside of the directory %s", start, r->path);
  if (!set_path(r, r->path, start)) return false;
  *ending = launch_ending(r->plan->path);
  if (stat(r->plan->path, &status) != 0 || !S_ISREG(status.st_mode))
    return refuse(r, "the directory %s has no file %s (--start)", r->path, start);
  return true;
}

/* ---- the kind ---- */

static enum launch_kind kind_of_path(const char* path) {
  const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat status;
  if (fd < 0) return LAUNCH_PLUGIN;
  const bool is_directory = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
  const bool is_file = !is_directory && S_ISREG(status.st_mode);
  const enum launch_kind kind = is_directory ? LAUNCH_SCRIPT
                                : is_file    ? launch_kind_of(fd, path)
                                             : LAUNCH_PLUGIN;
  close(fd);
  return kind;
}

/* A file with an ending that only the options know is a script. */
static enum launch_kind kind_with(const struct launch_options* options, const char* path) {
  enum launch_kind kind = LAUNCH_PLUGIN;
  if (options->kind != NULL && launch_kind_from_word(options->kind, &kind)) return kind;
  kind = kind_of_path(path);
  if (kind != LAUNCH_PLUGIN) return kind;
  const char* const ending = launch_ending(path);
  const bool is_given = ending[0] != '\0' && strcmp(ending, "so") != 0 &&
                        find_command(options->runs, options->run_count, ending) != NULL;
  return is_given && access(path, R_OK) == 0 ? LAUNCH_SCRIPT : LAUNCH_PLUGIN;
}

enum launch_kind launch_resolve_kind(const char* path, const struct launch_options* options) {
  struct stat status;
  char file[PATH_MAX];
  const bool is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
  if (!is_directory || options->start == NULL) return kind_with(options, path);
  const int size = snprintf(file, sizeof file, "%s/%s", path, options->start);
  if (size <= 0 || (size_t)size >= sizeof file || access(file, F_OK) != 0) return LAUNCH_SCRIPT;
  return kind_with(options, file);
}

/* ---- the runtime ---- */

static bool refuse_shell(const struct resolution* r, const char* path) {
  return refuse(r,
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
  const int status = runtime->ask[0] == NULL
                         ? CHILD_NOT_STARTED
                         : launch_child_output(r->plan->program, words, r->options->environment, output,
                                               (char[PATH_MAX]){0}, sizeof output);
  output[status == CHILD_NOT_STARTED ? 0 : strcspn(output, "\n")] = '\0';
  if (status == 0 && output[0] == '/' && access(output, X_OK) == 0 && !is_shell_script(output)) {
    memcpy(r->plan->program, output, sizeof output);
    return true;
  }
  return refuse(r,
                "the runtime %s of %s is a shell script, which starts another program: name that program "
                "(`runtimes:` in the configuration file, or --runtime)",
                r->plan->program, r->path);
}

static bool find_runtime_program(const struct resolution* r, const struct launch_runtime* runtime) {
  for (const char* const* name = runtime->names; name < runtime->names + 3 && *name != NULL; ++name) {
    if (!launch_find_program(*name, r->plan->program, sizeof r->plan->program)) continue;
    return add(r, r->plan->run, *name) && (!is_shell_script(r->plan->program) || ask(r, runtime));
  }
  return refuse(r,
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
    return refuse(r, "%s needs the runtime %s, which is no executable file%s", r->path, name,
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
  return refuse(r,
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
      return refuse(r, "the runtime %s of %s needs %s, which is no executable file", r->plan->program,
                    r->path, words[0]);
  }
  return refuse(r, "the runtime %s of %s cannot be followed to a program", r->plan->program, r->path);
}

static bool resolve_script(const struct resolution* r, const char* ending) {
  return find_runtime(r, ending) && find_check_command(r, ending) && find_binary(r);
}

bool launch_resolve(const char* path, const struct launch_options* options, struct launch_plan* plan,
                    char* why, size_t why_size) {
  const struct resolution r = {path, options, plan, why, why_size};
  const char* ending = "";
  memset(plan, 0, sizeof *plan);
  if (!find_start(&r, &ending)) return false;
  plan->kind = kind_with(options, plan->path);
  switch (plan->kind) {
    case LAUNCH_PLUGIN: return true;
    case LAUNCH_SCRIPT: return resolve_script(&r, ending);
    case LAUNCH_PROGRAM:
      memcpy(plan->program, plan->path, sizeof plan->program);
      memcpy(plan->binary, plan->path, sizeof plan->binary);
      return true;
    case LAUNCH_UNCLEAR: break;
  }
  return refuse(&r,
                "%s is a library that can also be executed: say which is meant, --kind plugin or --kind "
                "program",
                path);
}
