#include "wake.h"

#include <sys/eventfd.h>

#include "fd_flags.h"

static int event_fd = -1;

bool wake_setup(void) {
  event_fd = host_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return event_fd >= 0;
}

/* Writes the eventfd first: a control thread that is about to park polls the eventfd once more, and then does
 * not park. */
void wake_control_thread(void) {
  eventfd_write(event_fd, 1);
  slow_path_add(SLOW_NEEDED);
}

int wake_fd(void) { return event_fd; }

void wake_clear(void) {
  eventfd_t unused;
  eventfd_read(event_fd, &unused);
}
