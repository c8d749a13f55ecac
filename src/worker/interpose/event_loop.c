#include "event_loop.h"

__thread int event_loop_newest = -1;
static __thread bool has_registered;

void event_loop_accepts(int connection) {
  event_loop_newest = connection;
  has_registered = false;
}

void event_loop_registers(int fd) {
  if (fd == event_loop_newest) has_registered = true;
}

void event_loop_closes(int fd) {
  if (fd == event_loop_newest) event_loop_newest = -1;
}

void event_loop_epolls(void) {
  if (has_registered) control_thread_note_loop();
}

void event_loop_polls(const struct pollfd* fds, nfds_t count) {
  for (nfds_t i = 0; i < count; ++i)
    if (fds[i].fd == event_loop_newest) control_thread_note_loop();
}

void event_loop_selects(int count, fd_set* const sets[3]) {
  for (int i = 0; i < 3; ++i)
    if (sets[i] != NULL && event_loop_newest < count && FD_ISSET(event_loop_newest, sets[i]))
      control_thread_note_loop();
}
