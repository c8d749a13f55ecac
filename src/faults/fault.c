/*
 * Faulty releases, one for each -DFAULT_...: `liveswap verify` upgrades a running application to each and
 * checks that no client notices. Installed in libexec/liveswap/faults.
 */
#include <liveswap_plugin.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

/* Crashes like a null pointer access, but without a core file. */
__attribute__((unused)) static void crash(void) {
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  signal(SIGSEGV, SIG_DFL);
  raise(SIGSEGV);
}

/* Never returns: the master kills the process, or the worker host ends it when the master has exited. */
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
  /* Never becomes ready, but drains properly. */
  struct pollfd drain = {liveswap_drain_fd(), POLLIN, 0};
  while (poll(&drain, 1, -1) != 1) {
  }
#endif
  return 0; /* without a fault above: returns at once, a failure, as no drain has begun */
}
