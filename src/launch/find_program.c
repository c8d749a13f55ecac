#include "find_program.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kind.h"

static bool can_be_executed(const char* path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static bool copy(const char* from, char* to, size_t room) {
  const size_t size = strlen(from);
  if (size >= room) return false;
  memcpy(to, from, size + 1);
  return true;
}

bool launch_find_program(const char* name, char* path, size_t room) {
  const char* places = getenv("PATH");
  if (strchr(name, '/') != NULL) return name[0] == '/' && can_be_executed(name) && copy(name, path, room);
  if (places == NULL || *places == '\0') places = "/usr/local/bin:/usr/bin:/bin";
  while (*places != '\0') {
    const int size = (int)strcspn(places, ":");
    const int length = snprintf(path, room, "%.*s/%s", size, places, name);
    if (places[0] == '/' && length > 0 && (size_t)length < room && can_be_executed(path)) return true;
    places += size;
    places += *places == ':';
  }
  return false;
}

/* Cuts the next word off `*rest`; NULL: none is left. */
static char* next_word(char** rest) {
  char* const word = *rest + strspn(*rest, " \t");
  if (*word == '\0') return NULL;
  *rest = word + strcspn(word, " \t");
  if (**rest != '\0') *(*rest)++ = '\0';
  return word;
}

static void cut_blanks_behind(char* text) {
  size_t size = strlen(text);
  while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL) text[--size] = '\0';
}

size_t launch_split_shebang(char* line, char** words, size_t most) {
  size_t count = 0;
  char* rest = line;
  cut_blanks_behind(line);
  char* const interpreter = next_word(&rest);
  if (interpreter == NULL || most < 2) return 0;
  if (strcmp(launch_base_name(interpreter), "env") != 0) {
    words[count++] = interpreter;
    rest += strspn(rest, " \t");
    if (*rest != '\0') words[count++] = rest;
    return count;
  }
  for (char* word = NULL; count < most && (word = next_word(&rest)) != NULL;)
    if (count > 0 || strcmp(word, "-S") != 0) words[count++] = word;
  return count;
}

bool launch_read_shebang(const char* path, char* line, size_t room) {
  const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  const ssize_t size = fd < 0 ? -1 : pread(fd, line, room - 1, 0);
  if (fd >= 0) close(fd);
  if (size < 2 || line[0] != '#' || line[1] != '!') return false;
  line[size] = '\0';
  line[strcspn(line, "\n")] = '\0';
  memmove(line, line + 2, strlen(line + 2) + 1);
  return true;
}
