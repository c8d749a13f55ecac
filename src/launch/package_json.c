#include "package_json.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024 };

/* Behind the closing quote of a JSON text that begins at `at`. */
static const char* behind_text(const char* at) {
  for (++at; *at != '\0' && *at != '"'; ++at)
    if (*at == '\\' && at[1] != '\0') ++at;
  return *at == '"' ? at + 1 : at;
}

static const char* behind_blanks(const char* at) { return at + strspn(at, " \t\r\n"); }

bool launch_text_has_main(const char* text) {
  static const char name[] = "\"main\"";
  int depth = 0;
  for (const char* at = text; *at != '\0';) {
    if (*at == '{' || *at == '[') ++depth;
    if (*at == '}' || *at == ']') --depth;
    if (*at != '"') {
      ++at;
      continue;
    }
    const bool is_main = depth == 1 && strncmp(at, name, sizeof name - 1) == 0;
    at = behind_text(at);
    const char* const value = behind_blanks(at);
    if (is_main && *value == ':' && *behind_blanks(value + 1) == '"') return true;
  }
  return false;
}

bool launch_package_has_main(const char* directory) {
  char path[PATH_MAX];
  const int size = snprintf(path, sizeof path, "%s/package.json", directory);
  if (size <= 0 || (size_t)size >= sizeof path) return false;
  const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  char* const text = fd < 0 ? NULL : malloc(FILE_MAX + 1);
  const ssize_t found = text == NULL ? -1 : pread(fd, text, FILE_MAX, 0);
  if (fd >= 0) close(fd);
  if (found >= 0) text[found] = '\0';
  const bool has = found >= 0 && launch_text_has_main(text);
  free(text);
  return has;
}
