/*
 * Releases that must never serve, one for each -DFAULT_...: `liveswap verify` upgrades a running application
 * to them and looks whether anybody notices. Installed in libexec/liveswap/faults.
 */
#include <liveswap_plugin.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

/* As a null pointer would end it, but without a core file for each run. */
__attribute__((unused)) static void crash(void) {
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  signal(SIGSEGV, SIG_DFL);
  raise(SIGSEGV);
}

/* Until somebody kills the process: by force, or because the master has gone. */
__attribute__((unused)) static void hang(void) {
  for (;;) pause();
}

#if defined FAULT_CRASH_AT_LOAD
__attribute__((constructor)) static void at_load(void) { crash(); }
#elif defined FAULT_HANG_AT_LOAD
__attribute__((constructor)) static void at_load(void) { hang(); }
#elif defined FAULT_NEVER_READY
LIVESWAP_ABI_NOTE(LIVESWAP_DEFER_READY)
#endif

int liveswap_main(int fd) {
  (void)fd;
#if defined FAULT_CRASH_AT_START
  crash();
#elif defined FAULT_NEVER_READY
  /* Would drain as it should, if it ever came to serve. */
  struct pollfd drain = {liveswap_drain_fd(), POLLIN, 0};
  while (poll(&drain, 1, -1) != 1) {
  }
#endif
  return 0; /* returns at once, if nothing of the above has been done: a failure, as no drain was asked for */
}
