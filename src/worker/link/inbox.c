#include "inbox.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "liveswap_plugin.h"
#include "worker/base/fd_flags.h"

/* The contract promises that a buffer of 65536 bytes holds every message and its NUL. */
enum { MESSAGE_MAX = 65536 - 1 };

/* No other thread may take a message between reading its size and receiving it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int in = -1;  /* written by the control thread */
static int out = -1; /* read by the application */

bool inbox_setup(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return false;
  in = host_fd(ends[0]);
  out = host_fd(ends[1]);
  return true;
}

bool inbox_put(const char* text, size_t size) {
  return size > 0 && size <= MESSAGE_MAX && send(in, text, size, MSG_NOSIGNAL) == (ssize_t)size;
}

int liveswap_message_fd(void) { return out; }

static ssize_t take(char* buf, size_t capacity) {
  const ssize_t size = recv(out, NULL, 0, MSG_PEEK | MSG_TRUNC);
  if (size <= 0) return 0;
  if ((size_t)size >= capacity) {
    errno = EMSGSIZE;
    return -1;
  }
  if (recv(out, buf, (size_t)size, 0) != size) return 0;
  buf[size] = '\0';
  return size;
}

ssize_t liveswap_message(char* buf, size_t capacity) {
  if (buf == NULL) {
    errno = EINVAL;
    return -1;
  }
  pthread_mutex_lock(&lock);
  const ssize_t size = take(buf, capacity);
  pthread_mutex_unlock(&lock);
  return size;
}
