/* setsockopt(): the master learns of options that the application sets on a held listener
 * (takeover/socket_options.h). */
#include <pthread.h>
#include <sys/socket.h>

#include "worker/api/listeners.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/socket_options.h"

static COLD int set_flagged(int fd, int level, int name, const void* value, socklen_t size) {
  int cancel = 0;
  if (forked_child_runs() || listeners_held(fd) == NULL) return libc.setsockopt(fd, level, name, value, size);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  const int done = socket_options_set(fd, level, name, value, size);
  pthread_setcancelstate(cancel, NULL);
  return done;
}

INTERPOSED int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  return fd_flags(fd) == 0 ? libc.setsockopt(fd, level, name, value, size)
                           : set_flagged(fd, level, name, value, size);
}
