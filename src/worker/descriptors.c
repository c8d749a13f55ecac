#include "descriptors.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "takeover/real.h"

static void visit_all(char* buffer, ssize_t size, int directory, void (*visit)(int, void*), void* context) {
  for (ssize_t at = 0; at < size;) {
    const struct dirent64* entry = (const struct dirent64*)(buffer + at);
    at += entry->d_reclen;
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    const int fd = atoi(entry->d_name);
    if (fd != directory) visit(fd, context);
  }
}

void descriptors_each(void (*visit)(int fd, void* context), void* context) {
  _Alignas(struct dirent64) char buffer[4096];
  const int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  for (;;) {
    const ssize_t size = getdents64(directory, buffer, sizeof buffer);
    if (size <= 0) break;
    visit_all(buffer, size, directory, visit, context);
  }
  real.close(directory);
}

bool descriptor_is(int fd, const char* kind) {
  char path[64];
  char found[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(path, found, sizeof found);
  return size > 0 && (size_t)size == strlen(kind) && memcmp(found, kind, (size_t)size) == 0;
}
