#include "check.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "liveswap_plugin.h"
#include "load.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/link/channel.h"

static void run_selftest(void* library, const char* path) {
  int (*selftest)(void) = NULL;
  void* found = dlsym(library, "liveswap_selftest");
  if (found == NULL) return;
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_SELFTEST);
  /* As in load.c: ISO C has no cast for this. */
  memcpy(&selftest, &found, sizeof found);
  const int result = selftest();
  if (result != 0) {
    channel_fail(LIVESWAP_STAGE_SELFTEST, "liveswap_selftest of %s returned %d; expected 0", path, result);
  }
}

/* Threads other than the main and the control thread: constructors or the self-test have left them
 * running. */
static uint64_t count_threads(void) {
  enum { OWN = 2 };
  const int count = proc_self_count_threads();
  return count > OWN ? (uint64_t)(count - OWN) : 0;
}

/* Lists the library and all libraries loaded with it, one path a line, as far as there is room. The loader
 * appends to its list, so the host's own libraries come before `library`. */
static size_t list_loaded(void* library, char* text, size_t room) {
  size_t size = 0;
  struct link_map* map = NULL;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return 0;
  for (; map != NULL; map = map->l_next) {
    const size_t length = strlen(map->l_name);
    if (length + 1 > room - size) break;
    memcpy(text + size, map->l_name, length);
    text[size + length] = '\n';
    size += length + 1;
  }
  return size;
}

void check_run(const struct options* options) {
  const struct loaded application = load(options->path, options->entry);
  run_selftest(application.library, options->path);
  static char loaded[LIVESWAP_TEXT_MAX];
  const size_t size = list_loaded(application.library, loaded, sizeof loaded);
  channel_send((struct liveswap_frame){.kind = LIVESWAP_TASK_DONE, .count = count_threads()}, loaded, size);
  libc.exit(0);
}
