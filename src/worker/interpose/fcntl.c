/* fcntl() and ioctl(): when an application changes O_NONBLOCK of a listener, the change is for this
 * application only (takeover/blocking_mode.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "worker/api/listeners.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/socket.h"
#include "worker/takeover/forked_child.h"

static void set_blocking(int fd, bool blocking) {
  if (blocking) {
    fd_flags_add(fd, FLAG_BLOCKING);
  } else {
    socket_end_blocking(fd);
    fd_flags_remove(fd, FLAG_BLOCKING);
  }
}

static int set_status(int fd, int wanted) {
  const int others = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME; /* all that F_SETFL can set (fcntl(2)) */
  const int now = libc.fcntl(fd, F_GETFL);
  if (now < 0 || (((now ^ wanted) & others) != 0 && libc.fcntl(fd, F_SETFL, wanted | O_NONBLOCK) < 0))
    return -1;
  set_blocking(fd, (wanted & O_NONBLOCK) == 0);
  return 0;
}

static COLD bool is_guarded(int fd) {
  /* UDP sockets are excluded: accept() can wait for a listener that is non-blocking in the kernel, but no
   * receiving call does that for a UDP socket. */
  if (socket_option(fd, SO_TYPE) == SOCK_DGRAM) return false;
  return (fd_flags(fd) & (FLAG_REVOKED | FLAG_INHERITED)) != 0 ||
         ((fd_flags(fd) & FLAG_HELD) != 0 && listeners_held(fd) != NULL);
}

/* A copy of a descriptor is known for what the descriptor is known for, as with dup(). */
static COLD int duplicate(int fd, int command, int least) {
  const int copy = libc.fcntl(fd, command, least);
  if (copy >= 0 && !forked_child_is_of_vfork()) fd_flags_set(copy, fd_flags_for_copy(fd));
  return copy;
}

static COLD int fcntl_flagged(int fd, int command, void* argument) {
  const long number = (long)argument;
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) return duplicate(fd, command, (int)number);
  if (!is_guarded(fd)) return libc.fcntl(fd, command, argument);
  if (command == F_SETFL) return set_status(fd, (int)number);
  const int done = libc.fcntl(fd, command, argument);
  return command == F_GETFL && done >= 0 && (fd_flags(fd) & FLAG_BLOCKING) != 0 ? done & ~O_NONBLOCK : done;
}

/*
 * Defined under internal names with assembler aliases: libc's headers may define fcntl as a macro for
 * fcntl64, and the variadic argument is passed like a fixed one on 64-bit Linux.
 */
_Static_assert(sizeof(void*) == 8, "elsewhere the argument is on the stack, or is not there");

static __attribute__((hot)) int guarded_fcntl(int fd, int command, void* argument) {
  return fd_flags(fd) != 0 ? fcntl_flagged(fd, command, argument) : libc.fcntl(fd, command, argument);
}

INTERPOSED extern __typeof__(guarded_fcntl) plain_fcntl __asm__("fcntl")
    __attribute__((alias("guarded_fcntl")));
INTERPOSED extern __typeof__(guarded_fcntl) large_fcntl __asm__("fcntl64")
    __attribute__((alias("guarded_fcntl")));

static COLD int set_by_ioctl(int fd, const int* non_blocking) {
  if (non_blocking == NULL) {
    errno = EFAULT;
    return -1;
  }
  set_blocking(fd, *non_blocking == 0);
  return 0;
}

static __attribute__((hot)) int guarded_ioctl(int fd, unsigned long request, void* argument) {
  return request == FIONBIO && fd_flags(fd) != 0 && is_guarded(fd) ? set_by_ioctl(fd, argument)
                                                                   : libc.ioctl(fd, request, argument);
}

INTERPOSED extern __typeof__(guarded_ioctl) plain_ioctl __asm__("ioctl")
    __attribute__((alias("guarded_ioctl")));
