#include "io_uring.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "liveswap_plugin.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"

/* Since Linux 6.0; the headers of Debian 12 lack them. */
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

static long cancel(int ring, int fd) {
  struct sync_cancel order = {.fd = fd, .flags = CANCEL_ALL | CANCEL_FD, .timeout = {1, 0}};
  return libc.syscall(SYS_io_uring_register, ring, REGISTER_SYNC_CANCEL, &order, 1);
}

static bool is_ring(int fd) { return proc_self_descriptor_is(fd, "anon_inode:[io_uring]"); }

static void note_ring(int fd, void* found) {
  if (is_ring(fd)) *(bool*)found = true;
}

/* fdinfo lists fixed files below "UserFiles: 8": "    0: socket:[4711]". A listing that does not fit into the
 * buffer counts as having one. */
static void note_fixed_sockets(int fd, void* found) {
  char path[32];
  char text[16 * 1024];
  if (!is_ring(fd)) return;
  snprintf(path, sizeof path, "fdinfo/%d", fd);
  const ssize_t size = proc_self_read(path, text, sizeof text);
  if (size < 0 || size == (ssize_t)sizeof text - 1 || strstr(text, ": socket:[") != NULL)
    *(bool*)found = true;
}

bool io_uring_is_linked(void* library) {
  return dlsym(library, "io_uring_queue_init") != NULL ||
         dlsym(library, "io_uring_queue_init_params") != NULL;
}

bool io_uring_has_fixed_sockets(void) {
  bool found = false;
  proc_self_each_descriptor(note_fixed_sockets, &found);
  return found;
}

bool io_uring_is_there(void) {
  bool found = false;
  proc_self_each_descriptor(note_ring, &found);
  return found;
}

static void cancel_in(int fd, void* context) {
  if (!is_ring(fd) || cancel(fd, *(const int*)context) >= 0 || errno == ENOENT) return;
  liveswap_log(LIVESWAP_WARNING,
               "an io_uring may go on accepting connections: the accept could not be cancelled");
}

void io_uring_cancel(int held) { proc_self_each_descriptor(cancel_in, &held); }

/* Tries to cancel requests on the ring itself. There are none: only the error matters, which tells whether
 * cancelling is possible. */
static void try_in(int fd, void* context) {
  if (!is_ring(fd) || cancel(fd, fd) >= 0) return;
  if (errno == EEXIST) *(enum io_uring_trouble*)context = URING_SINGLE_ISSUER;
  if (errno == EINVAL) *(enum io_uring_trouble*)context = URING_OLD_KERNEL;
}

enum io_uring_trouble io_uring_trouble(void) {
  enum io_uring_trouble found = URING_FINE;
  proc_self_each_descriptor(try_in, &found);
  return found;
}
