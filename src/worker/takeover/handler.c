#include "handler.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "worker/self.h"

/* SigBlk of /proc/self/task/<thread>/status: a bit for each signal, from the lowest on. */
static void note_who_takes_it(int thread, void* all_block) {
  char path[64];
  char text[2048];
  unsigned long long blocked = 0;
  snprintf(path, sizeof path, "task/%d/status", thread);
  if (self_read(path, text, sizeof text) <= 0) return; /* it has just ended */
  const char* line = strstr(text, "\nSigBlk:");
  const bool blocks = line != NULL && sscanf(line, "\nSigBlk: %llx", &blocked) == 1 && (blocked >> (SIGTERM - 1) & 1) != 0;
  if (!blocks) *(bool*)all_block = false;
}

bool handler_of_sigterm(void) {
  struct sigaction action;
  bool all_block = true;
  if (sigaction(SIGTERM, NULL, &action) != 0 || action.sa_handler == SIG_IGN) return false;
  if (action.sa_handler != SIG_DFL) return true;
  return self_each_thread(note_who_takes_it, &all_block) && all_block;
}
