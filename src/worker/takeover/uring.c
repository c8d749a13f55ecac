#include "uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/descriptors.h"
#include "liveswap_plugin.h"
#include "real.h"

/* Since Linux 6.0; Debian 12's headers may be older. */
enum { REGISTER_SYNC_CANCEL = 24, CANCEL_ALL = 1, CANCEL_FD = 2 };

struct sync_cancel {
  uint64_t address;
  int32_t fd;
  uint32_t flags;
  struct {
    int64_t seconds;
    int64_t nanoseconds;
  } timeout; /* -1, -1: none */
  uint64_t padding[4];
};

static void visit(int fd, void* context) {
  if (!descriptor_is(fd, "anon_inode:[io_uring]")) return;
  const int held = *(const int*)context;
  struct sync_cancel order = {.fd = held, .flags = CANCEL_ALL | CANCEL_FD, .timeout = {1, 0}};
  const long done = real.syscall(SYS_io_uring_register, fd, REGISTER_SYNC_CANCEL, &order, 1);
  if (done >= 0 || errno == ENOENT) return;
  liveswap_log(LIVESWAP_WARNING,
               errno == EEXIST
                   ? "an io_uring of a single issuer goes on accepting: this worker has to drain by itself "
                     "(liveswap_drain_fd), or without IORING_SETUP_SINGLE_ISSUER"
                   : "the accept of an io_uring could not be cancelled: this worker has to drain by itself");
}

void uring_cancel(int held) { descriptors_each(visit, &held); }
