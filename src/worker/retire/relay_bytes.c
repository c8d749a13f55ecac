#include "relay_bytes.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "worker/base/libc.h"

enum { RELAY_SIZE = 64 * 1024 };

/* Peeks and removes only what was sent on, so that bytes stay in `from` until `to` has room. */
enum relayed relay(int from, int to, uint64_t* total) {
  static char bytes[RELAY_SIZE];
  for (;;) {
    const ssize_t there = libc.recv(from, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    if (there < 0) return errno == EAGAIN || errno == EINTR ? RELAYED_ALL : RELAYED_CLOSED;
    if (there == 0) return RELAYED_CLOSED;
    ssize_t sent = to >= 0 ? libc.send(to, bytes, (size_t)there, MSG_DONTWAIT | MSG_NOSIGNAL) : there;
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return RELAYED_SOME;
    /* The other side is gone: discard. */
    if (sent < 0) sent = there;
    (void)!libc.recv(from, bytes, (size_t)sent, MSG_DONTWAIT);
    *total += (uint64_t)sent;
  }
}
