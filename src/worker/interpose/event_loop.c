/* And epoll_wait, out of which a thread is knocked without noticing (control/parking.h). The call itself is
 * libc's. */
#include "event_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "worker/base/libc.h"

__thread int event_loop_newest = -1;
static __thread bool has_registered;

void event_loop_accepts(int connection) {
  event_loop_newest = connection;
  has_registered = false;
}

void event_loop_registers(int fd) {
  if (fd == event_loop_newest) has_registered = true;
}

/* What has been made non-blocking holds nobody up. */
static bool may_block(int fd) {
  const int flags = libc.fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

/* Who only has a look, and does not wait, may still become one. */
static void note(bool is_loop, bool waits) {
  if (is_loop)
    control_thread_note_loop();
  else if (waits && may_block(event_loop_newest))
    control_thread_unpark();
}

void event_loop_closes(int fd) {
  event_loop_newest = -1;
  if (may_block(fd)) control_thread_unpark();
}

void event_loop_polls(const struct pollfd* fds, nfds_t count, bool waits) {
  bool found = false;
  for (nfds_t i = 0; i < count; ++i) found = found || fds[i].fd == event_loop_newest;
  note(found, waits);
}

void event_loop_selects(int count, fd_set* const sets[3], bool waits) {
  bool found = false;
  for (int i = 0; i < 3; ++i)
    found = found || (sets[i] != NULL && event_loop_newest < count && FD_ISSET(event_loop_newest, sets[i]));
  note(found, waits);
}

void event_loop_blocks(void) {
  if (control_thread_looks_for_loop()) control_thread_unpark();
}

void event_loop_epolls(bool waits) { note(has_registered, waits); }
