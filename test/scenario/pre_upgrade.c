/* Pre-upgrade plugins, one for each -DPRE_UPGRADE_…: the good one and what goes wrong with others. */
#include <liveswap_plugin.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

void liveswap_preupgrade(const char* value, liveswap_done done, void* ctx) {
#if defined PRE_UPGRADE_REPLACE
  char next[4096];
  snprintf(next, sizeof next, "%s.next", value);
  done(ctx, NULL, next);
#elif defined PRE_UPGRADE_KEEP
  (void)value;
  done(ctx, NULL, NULL);
#elif defined PRE_UPGRADE_REFUSE
  (void)value;
  fprintf(stderr, "it is Friday by the clock of the office\n");
  done(ctx, "not on a Friday", NULL);
#elif defined PRE_UPGRADE_CRASH
  (void)value, (void)done, (void)ctx;
  printf("the build server is on fire\n");
  raise(SIGSEGV);
#elif defined PRE_UPGRADE_HANG
  (void)value, (void)done, (void)ctx;
  for (;;) pause();
#elif defined PRE_UPGRADE_SILENT
  (void)value, (void)done, (void)ctx;
#endif
}
