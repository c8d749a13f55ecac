#include "environment.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_named(const char* variable, const char* name) {
  const size_t size = strlen(name);
  return strncmp(variable, name, size) == 0 && variable[size] == '=';
}

char* environment_value(char* const* list, const char* name) {
  char* found = NULL;
  for (; list != NULL && *list != NULL; ++list)
    if (is_named(*list, name)) found = *list + strlen(name) + 1;
  return found;
}

void environment_remove(char** list, const char* name) {
  if (list == NULL) return;
  char** to = list;
  for (char** from = list; *from != NULL; ++from) {
    char* const variable = *from;
    *from = NULL;
    if (is_named(variable, name)) memset(variable, 0, strlen(variable));
    else *to++ = variable;
  }
}

void environment_hide_needed(char** list, const char* path) {
  char tail[PATH_MAX + 16];
  char* const value = environment_value(list, "LD_LIBRARY_PATH");
  const char* const slash = strrchr(path, '/');
  if (value == NULL || slash == NULL || slash - path >= PATH_MAX) return;
  snprintf(tail, sizeof tail, "%.*s/.needed", (int)(slash - path), path);
  const size_t size = strlen(value);
  const size_t tail_size = strlen(tail);
  if (strcmp(value, tail) == 0) environment_remove(list, "LD_LIBRARY_PATH");
  else if (size > tail_size && value[size - tail_size - 1] == ':' &&
           strcmp(value + size - tail_size, tail) == 0)
    memset(value + size - tail_size - 1, 0, tail_size + 1);
}

static bool is_among(const char* variable, const char* const* names) {
  for (; *names != NULL; ++names)
    if (is_named(variable, *names)) return true;
  return false;
}

char** environment_join(char* const* list, const char* const* without, const char* const* more,
                        size_t count) {
  size_t size = count + 1;
  for (char* const* one = list; one != NULL && *one != NULL; ++one) ++size;
  char** const joined = calloc(size, sizeof *joined);
  size_t at = 0;
  if (joined == NULL) return NULL;
  for (char* const* one = list; one != NULL && *one != NULL; ++one)
    if (!is_among(*one, without)) joined[at++] = *one;
  for (size_t i = 0; i < count; ++i) joined[at++] = (char*)more[i];
  return joined;
}
