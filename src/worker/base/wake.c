#include "wake.h"

#include <stddef.h>
#include <sys/eventfd.h>

#include "fd_flags.h"

static int event_fd = -1;
static const struct wake_calls* calls;

bool wake_setup(void) {
  event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) return false;
  fd_flags_set(event_fd, FLAG_HOST);
  return true;
}

void wake_control_thread(void) { eventfd_write(event_fd, 1); }

int wake_fd(void) { return event_fd; }

void wake_clear(void) {
  eventfd_t unused;
  eventfd_read(event_fd, &unused);
}

void wake_connect(const struct wake_calls* to) { calls = to; }

void wake_unpark(void) {
  if (calls != NULL) calls->unpark();
}

void wake_unpark_soon(const sigset_t* blocked) {
  if (calls != NULL) calls->unpark_soon(blocked);
}

void wake_settle(void) {
  if (calls != NULL) calls->settle();
}
