#include "adopt.h"

#include "real.h"

atomic_int adopt_waiting;

int adopt_fd(void) { return -1; }

void adopt_put(uint64_t cookie, int connection) {
  (void)cookie;
  real.close(connection);
}

int adopt_accept(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  (void)fd;
  (void)address;
  (void)size;
  (void)flags;
  return -1;
}

bool adopt_has_one(int fd) {
  (void)fd;
  return false;
}
