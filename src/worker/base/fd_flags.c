#include "fd_flags.h"

#include "libc.h"
#include "slow_path.h"

_Atomic(uint16_t) fd_flags_table[FD_FLAGS_MAX];
atomic_int fd_flags_end;
atomic_uint fd_flags_changes;
atomic_uint slow_path_now = SLOW_LOOP;

void host_fd_close(int fd) {
  if (fd < 0) return;
  fd_flags_set(fd, 0);
  libc.close(fd);
}
