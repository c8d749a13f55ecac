#include "blocking_mode.h"

#include <stddef.h>

#include "worker/api/listeners.h"
#include "worker/base/fd_flags.h"
#include "worker/base/socket.h"

/* FLAG_BLOCKING is only set on stream listeners; the flag may be outdated. */
void blocking_mode_begin_waits(int fd) {
  if ((fd_flags(fd) & FLAG_BLOCKING) != 0 && listeners_held(fd) != NULL) socket_end_blocking(fd);
}

void blocking_mode_note_wait(int fd, unsigned flag) {
  if ((fd_flags(fd) & flag) != 0) return;
  blocking_mode_begin_waits(fd);
  fd_flags_add(fd, flag);
}
