/* A release with a fault that no check can find: it becomes ready, serves, and crashes a moment later. */
#include <liveswap_plugin.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

int liveswap_main(int fd) {
  (void)fd;
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  liveswap_ready();
  poll(NULL, 0, 100);
  abort();
}
