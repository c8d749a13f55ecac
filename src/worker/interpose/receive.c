/* Calls that receive from a socket. They call libc's function and pass the first bytes received on to
 * takeover/traffic.h. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "worker/base/libc.h"
#include "worker/takeover/traffic.h"

static ssize_t note(int fd, const void* bytes, ssize_t received) {
  if (received > 0 && traffic_is_followed(fd)) traffic_received(fd, bytes, (size_t)received);
  return received;
}

/* With these flags nothing is received, or not into the buffer. */
static bool fills_buffer(int flags) { return (flags & (MSG_TRUNC | MSG_ERRQUEUE)) == 0; }

static ssize_t note_flagged(int fd, const void* bytes, ssize_t received, int flags) {
  return fills_buffer(flags) ? note(fd, bytes, received) : received;
}

static ssize_t note_first(int fd, const struct iovec* parts, size_t count, ssize_t received) {
  if (received <= 0 || count == 0) return received;
  note(fd, parts[0].iov_base, parts[0].iov_len < (size_t)received ? (ssize_t)parts[0].iov_len : received);
  return received;
}

INTERPOSED ssize_t read(int fd, void* bytes, size_t size) {
  return note(fd, bytes, libc.read(fd, bytes, size));
}

INTERPOSED ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  return note_flagged(fd, bytes, libc.recv(fd, bytes, size, flags), flags);
}

INTERPOSED ssize_t recvfrom(int fd, void* bytes, size_t size, int flags, __SOCKADDR_ARG from,
                            socklen_t* from_size) {
  return note_flagged(fd, bytes, libc.recvfrom(fd, bytes, size, flags, from.__sockaddr__, from_size), flags);
}

INTERPOSED ssize_t readv(int fd, const struct iovec* parts, int count) {
  return note_first(fd, parts, (size_t)count, libc.readv(fd, parts, count));
}

INTERPOSED ssize_t recvmsg(int fd, struct msghdr* message, int flags) {
  const ssize_t received = libc.recvmsg(fd, message, flags);
  if (received <= 0 || !fills_buffer(flags)) return received;
  return note_first(fd, message->msg_iov, message->msg_iovlen, received);
}

/* Variants that -D_FORTIFY_SOURCE calls. */
INTERPOSED ssize_t __read_chk(int fd, void* bytes, size_t size, size_t room) {
  return note(fd, bytes, libc.__read_chk(fd, bytes, size, room));
}

INTERPOSED ssize_t __recv_chk(int fd, void* bytes, size_t size, size_t room, int flags) {
  return note_flagged(fd, bytes, libc.__recv_chk(fd, bytes, size, room, flags), flags);
}

INTERPOSED ssize_t __recvfrom_chk(int fd, void* bytes, size_t size, size_t room, int flags,
                                  __SOCKADDR_ARG from, socklen_t* from_size) {
  const ssize_t received = libc.__recvfrom_chk(fd, bytes, size, room, flags, from.__sockaddr__, from_size);
  return note_flagged(fd, bytes, received, flags);
}
