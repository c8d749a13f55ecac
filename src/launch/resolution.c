#include "resolution.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool launch_refuse(const struct resolution* r, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(r->why, r->why_size, format, arguments);
  va_end(arguments);
  return false;
}

const char* launch_find_command(const char* const* list, int count, const char* ending) {
  const size_t size = strlen(ending);
  for (int i = 0; i < count; ++i)
    if (strncmp(list[i], ending, size) == 0 && list[i][size] == '=') return list[i] + size + 1;
  return NULL;
}
