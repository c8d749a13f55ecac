#include "check.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "liveswap_plugin.h"
#include "load.h"

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

void check_run(const struct options* options) {
  const struct loaded application = load(options->path, "liveswap_main");
  run_selftest(application.library, options->path);
  channel_send_value(LIVESWAP_HOOK_DONE, 0);
  exit(0);
}
