#include "handler.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "real.h"

/* SigBlk of /proc/self/task/<thread>/status: a bit for each signal, from the lowest on. */
static bool blocks_sigterm(int thread) {
  char path[64];
  char text[2048];
  unsigned long long blocked = 0;
  snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true; /* it has just ended */
  const ssize_t size = read(fd, text, sizeof text - 1);
  real.close(fd);
  if (size <= 0) return true;
  text[size] = '\0';
  const char* line = strstr(text, "\nSigBlk:");
  return line != NULL && sscanf(line, "\nSigBlk: %llx", &blocked) == 1 && (blocked >> (SIGTERM - 1) & 1) != 0;
}

static bool all_block_sigterm(void) {
  _Alignas(struct dirent64) char buffer[4096];
  const int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool all = tasks >= 0;
  for (ssize_t size = 0; all && (size = getdents64(tasks, buffer, sizeof buffer)) > 0;) {
    for (ssize_t at = 0; at < size; at += ((struct dirent64*)(buffer + at))->d_reclen) {
      const char* const name = ((struct dirent64*)(buffer + at))->d_name;
      if (isdigit((unsigned char)name[0]) && !blocks_sigterm(atoi(name))) all = false;
    }
  }
  if (tasks >= 0) real.close(tasks);
  return all;
}

bool handler_of_sigterm(void) {
  struct sigaction action;
  if (sigaction(SIGTERM, NULL, &action) != 0 || action.sa_handler == SIG_IGN) return false;
  return action.sa_handler != SIG_DFL || all_block_sigterm();
}
