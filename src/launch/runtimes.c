#include "runtimes.h"

#include <string.h>

/* Compiles in memory: py_compile would leave a file beside the script. Prints the error alone, without the
 * lines of this program. */
#define PYTHON_CHECK                                                         \
  "import os, sys, traceback\n"                                              \
  "path = sys.argv[1]\n"                                                     \
  "if os.path.isdir(path): path = os.path.join(path, '__main__.py')\n"       \
  "try: compile(open(path, 'rb').read(), path, 'exec', dont_inherit=True)\n" \
  "except (SyntaxError, ValueError): traceback.print_exc(limit=0); sys.exit(1)"

static const struct launch_runtime table[] = {
    {{"js", "mjs", "cjs"}, {"node", "nodejs"}, {NULL}, {"", "--check"}, {"-p", "process.execPath"}},
    {{"py"},
     {"python3", "python"},
     {NULL},
     {"", "-c", PYTHON_CHECK},
     {"-c", "import sys; print(sys.executable)"}},
    {{"pyz"}, {"python3"}, {NULL}, {NULL}, {"-c", "import sys; print(sys.executable)"}},
    {{"rb"}, {"ruby"}, {NULL}, {"", "-c"}, {"-e", "puts RbConfig.ruby"}},
    {{"ru"}, {"puma", "rackup"}, {NULL}, {"ruby", "-c"}, {NULL}},
    {{"pl", "psgi"}, {"perl"}, {NULL}, {"", "-c"}, {"-e", "print $^X"}},
    {{"lua"}, {"lua", "luajit", "lua5.4"}, {NULL}, {"luac", "-p"}, {NULL}},
    {{"php"}, {"php"}, {NULL}, {"", "-l"}, {"-r", "echo PHP_BINARY;"}},
    {{"jar"}, {"java"}, {"-jar"}, {NULL}, {NULL}},
    /* Refused, with the reason (resolve.c). */
    {{"sh", "bash"}, {"sh"}, {NULL}, {NULL}, {NULL}},
};

enum { ROWS = sizeof table / sizeof table[0] };

const struct launch_runtime* launch_runtime_of_ending(const char* ending) {
  for (int i = 0; i < ROWS; ++i)
    for (const char* const* one = table[i].endings; *one != NULL; ++one)
      if (strcmp(*one, ending) == 0) return &table[i];
  return NULL;
}

/* "python", "python3", "python3.11", "ruby3.1" */
static bool is_name_with_version(const char* found, const char* name) {
  size_t size = strlen(name);
  while (size > 0 && strchr("0123456789.", name[size - 1]) != NULL) --size;
  return strncmp(found, name, size) == 0 && found[size + strspn(found + size, "0123456789.-")] == '\0';
}

const struct launch_runtime* launch_runtime_of_name(const char* name) {
  for (int i = 0; i < ROWS; ++i)
    for (const char* const* one = table[i].names; one < table[i].names + 3 && *one != NULL; ++one)
      if (is_name_with_version(name, *one)) return &table[i];
  return NULL;
}

bool launch_is_shell(const char* name) {
  static const char* const shells[] = {"sh",  "bash", "dash", "ash",  "ksh",   "mksh",
                                       "zsh", "fish", "csh",  "tcsh", "rbash", "busybox"};
  for (size_t i = 0; i < sizeof shells / sizeof shells[0]; ++i)
    if (strcmp(name, shells[i]) == 0) return true;
  return false;
}
