#include "start_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "package_json.h"
#include "runtimes.h"

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
         launch_refuse(r, "the path of %s is too long", r->path);
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
    return launch_refuse(r,
                         "the directory %s has more than one of config.ru, __main__.py, and package.json or "
                         "index.js: say what starts it (--start FILE)",
                         r->path);
  if (ruby + python + node == 0)
    return launch_refuse(
        r,
        "nothing in the directory %s says what starts it: found no package.json with `main`, "
        "index.js, __main__.py or config.ru; say what does (--start FILE)",
        r->path);
  *ending = ruby ? "ru" : python ? "py" : "js";
  return set_path(r, r->path, ruby ? "config.ru" : "");
}

bool launch_find_start(const struct resolution* r, const char** ending) {
  struct stat status;
  const char* const start = r->options->start;
  if (stat(r->path, &status) != 0) return launch_refuse(r, "cannot open %s: %s", r->path, strerror(errno));
  if (!S_ISDIR(status.st_mode)) {
    if (start != NULL)
      return launch_refuse(r, "--start %s is for a directory, and %s is a file", start, r->path);
    if (!set_path(r, r->path, "")) return false;
    *ending = launch_ending(r->plan->path);
    return true;
  }
  if (start == NULL) return look_into(r, ending);
  if (leads_out(start))
    return launch_refuse(r, "--start %s: expected a path inside of the directory %s", start, r->path);
  if (!set_path(r, r->path, start)) return false;
  *ending = launch_ending(r->plan->path);
  if (stat(r->plan->path, &status) != 0 || !S_ISREG(status.st_mode))
    return launch_refuse(r, "the directory %s has no file %s (--start)", r->path, start);
  return true;
}

/* Whether a runtime was given for this application, or for files with this ending. */
static bool has_runtime(const struct launch_options* options, const char* path) {
  const char* const ending = launch_ending(path);
  return launch_find_command(options->runs, options->run_count, "") != NULL ||
         (ending[0] != '\0' && launch_find_command(options->runs, options->run_count, ending) != NULL);
}

static enum launch_kind kind_of_file(int fd, const struct launch_options* options, const char* path) {
  const enum launch_kind kind = launch_kind_of(fd, path);
  if (kind != LAUNCH_PLUGIN || launch_is_library(fd, path)) return kind;
  return has_runtime(options, path) ? LAUNCH_SCRIPT : LAUNCH_PLUGIN;
}

enum launch_kind launch_kind_with(const struct launch_options* options, const char* path) {
  enum launch_kind kind = LAUNCH_PLUGIN;
  struct stat status;
  if (options->kind != NULL && launch_kind_from_word(options->kind, &kind)) return kind;
  const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return LAUNCH_PLUGIN;
  const bool is_known = fstat(fd, &status) == 0;
  if (is_known && S_ISDIR(status.st_mode)) kind = LAUNCH_SCRIPT;
  if (is_known && S_ISREG(status.st_mode)) kind = kind_of_file(fd, options, path);
  close(fd);
  return kind;
}

enum launch_kind launch_resolve_kind(const char* path, const struct launch_options* options) {
  struct stat status;
  char file[PATH_MAX];
  const bool is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
  if (!is_directory || options->start == NULL) return launch_kind_with(options, path);
  const int size = snprintf(file, sizeof file, "%s/%s", path, options->start);
  if (size <= 0 || (size_t)size >= sizeof file || access(file, F_OK) != 0) return LAUNCH_SCRIPT;
  return launch_kind_with(options, file);
}
