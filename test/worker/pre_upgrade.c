/* A pre-upgrade plugin that does what its value says. */
#include <liveswap_plugin.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static liveswap_done later;
static void* later_context;

static void* call_later(void* unused) {
  liveswap_log(LIVESWAP_INFO, "on a thread");
  later(later_context, NULL, "/from/a/thread");
  return unused;
}

void liveswap_preupgrade(const char* value, liveswap_done done, void* ctx) {
  if (strcmp(value, "now") == 0) done(ctx, NULL, "/new/path");
  if (strcmp(value, "keep") == 0) done(ctx, NULL, NULL);
  if (strcmp(value, "error") == 0) done(ctx, "not on a Friday", "/ignored");
  if (strcmp(value, "crash") == 0) raise(SIGSEGV);
  if (strcmp(value, "twice") == 0) {
    done(ctx, NULL, "/first");
    done(ctx, "second", NULL);
  }
  if (strcmp(value, "long") == 0) {
    static char path[100 * 1024];
    memset(path, 'p', sizeof path - 1);
    done(ctx, NULL, path);
  }
  if (strcmp(value, "thread") == 0) {
    pthread_t thread;
    later = done;
    later_context = ctx;
    pthread_create(&thread, NULL, call_later, NULL);
    pthread_detach(thread);
  }
}
