#include "mode.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "calls.h"
#include "marks.h"
#include "real.h"

/* Unlike F_SETFL it takes back nothing that another process does at the same moment. */
void mode_end_blocking(int fd) {
  const int before = errno;
  int on = 1;
  real.ioctl(fd, FIONBIO, &on);
  errno = before;
}

/* Not of datagrams, nor of what only has the number of a listener. */
void mode_begin_waits(int fd) {
  if ((marks_of(fd) & MARK_BLOCKING) != 0 && calls_held(fd) != NULL) mode_end_blocking(fd);
}

void mode_note_wait(int fd, unsigned mark) {
  if ((marks_of(fd) & mark) != 0) return;
  mode_begin_waits(fd);
  marks_add(fd, mark);
}

int mode_time_limit(int fd) {
  struct timeval limit = {0};
  socklen_t size = sizeof limit;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) != 0 ||
      (limit.tv_sec == 0 && limit.tv_usec == 0))
    return -1;
  return limit.tv_sec < INT_MAX / 1000 ? (int)(limit.tv_sec * 1000 + limit.tv_usec / 1000) : INT_MAX;
}

static void believe_blocking(int fd, bool blocking) {
  if (blocking) {
    marks_add(fd, MARK_BLOCKING);
  } else {
    mode_end_blocking(fd);
    marks_drop(fd, MARK_BLOCKING);
  }
}

static int set_flags(int fd, int wanted) {
  const int others = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME; /* all that F_SETFL can set (fcntl(2)) */
  const int now = real.fcntl(fd, F_GETFL);
  if (now < 0 || (((now ^ wanted) & others) != 0 && real.fcntl(fd, F_SETFL, wanted | O_NONBLOCK) < 0))
    return -1;
  believe_blocking(fd, (wanted & O_NONBLOCK) == 0);
  return 0;
}

static SELDOM int control_marked(int fd, int command, void* argument) {
  const long number = (long)argument;
  switch (command) {
    case F_SETFL:
      return set_flags(fd, (int)number);
    case F_GETFL: {
      const int found = real.fcntl(fd, command);
      return found >= 0 && (marks_of(fd) & MARK_BLOCKING) != 0 ? found & ~O_NONBLOCK : found;
    }
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: {
      const int copy = real.fcntl(fd, command, number);
      if (copy >= 0) marks_set(copy, marks_of(fd));
      return copy;
    }
    default:
      return real.fcntl(fd, command, argument);
  }
}

/* Calls that nobody sees receive datagrams: whether these wait is the application's affair. */
static bool has_datagrams(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

static SELDOM bool is_guarded(int fd) {
  if (has_datagrams(fd)) return false;
  return (marks_of(fd) & (MARK_SEIZED | MARK_INHERITED)) != 0 ||
         ((marks_of(fd) & MARK_HELD) != 0 && calls_held(fd) != NULL);
}

/*
 * These two under names of their own: what may be left out is taken as if it were there, which is less to do,
 * and where 64-bit Linux has it in a variadic call as well. And libc's headers make one fcntl another name
 * for the other.
 */
_Static_assert(sizeof(void*) == 8, "elsewhere the argument is on the stack, or is not there");

static __attribute__((hot)) int guarded_fcntl(int fd, int command, void* argument) {
  return marks_of(fd) != 0 && is_guarded(fd) ? control_marked(fd, command, argument)
                                             : real.fcntl(fd, command, argument);
}

SEEN_CALL extern __typeof__(guarded_fcntl) plain_fcntl __asm__("fcntl")
    __attribute__((alias("guarded_fcntl")));
SEEN_CALL extern __typeof__(guarded_fcntl) large_fcntl __asm__("fcntl64")
    __attribute__((alias("guarded_fcntl")));

static SELDOM int set_mode(int fd, const int* non_blocking) {
  if (non_blocking == NULL) {
    errno = EFAULT;
    return -1;
  }
  believe_blocking(fd, *non_blocking == 0);
  return 0;
}

static __attribute__((hot)) int guarded_ioctl(int fd, unsigned long request, void* argument) {
  return request == FIONBIO && marks_of(fd) != 0 && is_guarded(fd) ? set_mode(fd, argument)
                                                                   : real.ioctl(fd, request, argument);
}

SEEN_CALL extern __typeof__(guarded_ioctl) plain_ioctl __asm__("ioctl")
    __attribute__((alias("guarded_ioctl")));
