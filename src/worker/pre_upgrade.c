#include "pre_upgrade.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "launch/resolve.h"
#include "liveswap_plugin.h"
#include "load.h"
#include "pre_upgrade_command.h"
#include "worker/base/libc.h"
#include "worker/link/channel.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;
static bool is_done;

static void send_done(const char* error, const char* value) {
  const char* text = error != NULL ? error : value != NULL ? value : "";
  size_t size = strnlen(text, LIVESWAP_TEXT_MAX + 1);
  int32_t failed = error != NULL;
  if (size > LIVESWAP_TEXT_MAX && !failed) {
    /* An error may be cut, a path may not. */
    text = "the pre-upgrade plugin answered with a path that is too long";
    size = strlen(text);
    failed = 1;
  }
  if (size > LIVESWAP_TEXT_MAX) size = LIVESWAP_TEXT_MAX;
  channel_send((struct liveswap_frame){.kind = LIVESWAP_TASK_DONE, .value = failed}, text, size);
}

static void done(void* context, const char* error, const char* value) {
  (void)context;
  pthread_mutex_lock(&lock);
  if (!is_done) send_done(error, value);
  is_done = true;
  pthread_cond_signal(&finished);
  pthread_mutex_unlock(&lock);
}

static _Noreturn void run_command(const struct options* options) {
  const char* error = NULL;
  const char* path = NULL;
  pre_upgrade_command(options, &error, &path);
  send_done(error, path);
  libc.exit(0);
}

void pre_upgrade_run(const struct options* options) {
  if (launch_resolve_kind(options->path, &options->launch) != LAUNCH_PLUGIN) run_command(options);
  const struct loaded plugin = load(options->path, "liveswap_preupgrade");
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_START);
  ((void (*)(const char*, liveswap_done, void*))plugin.entry)(options->value, done, NULL);
  pthread_mutex_lock(&lock);
  while (!is_done) pthread_cond_wait(&finished, &lock);
  pthread_mutex_unlock(&lock);
  libc.exit(0);
}
