#include "check.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "liveswap_plugin.h"
#include "load.h"
#include "takeover/real.h"

static void run_selftest(void* library, const char* path) {
  int (*selftest)(void) = NULL;
  void* found = dlsym(library, "liveswap_selftest");
  if (found == NULL) return;
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_SELFTEST);
  /* As in load.c: ISO C has no cast for it. */
  memcpy(&selftest, &found, sizeof found);
  const int result = selftest();
  if (result != 0) {
    channel_fail(LIVESWAP_STAGE_SELFTEST, "liveswap_selftest of %s returned %d; expected 0", path, result);
  }
}

/* Threads beside this one and the host's own, which constructors and self-test have left running. */
static uint64_t count_threads(void) {
  enum { OWN = 2 };
  uint64_t count = 0;
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == NULL) return 0;
  for (const struct dirent* task = NULL; (task = readdir(tasks)) != NULL;) count += task->d_name[0] != '.';
  closedir(tasks);
  return count > OWN ? count - OWN : 0;
}

void check_run(const struct options* options) {
  const struct loaded application = load(options->path, options->entry);
  run_selftest(application.library, options->path);
  channel_send((struct liveswap_frame){.kind = LIVESWAP_HOOK_DONE, .count = count_threads()}, NULL, 0);
  real.exit(0);
}
