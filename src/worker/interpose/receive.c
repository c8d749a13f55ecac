/* Calls that receive from a socket. They call libc's function and pass the first bytes received on to
 * takeover/traffic.h. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "worker/base/libc.h"
#include "worker/takeover/traffic.h"

static ssize_t note(int fd, const void* bytes, ssize_t received) {
  if (received > 0) traffic_received(fd, bytes, (size_t)received);
  return received;
}

/* With these flags nothing is received, or not into the buffer. */
static bool is_followed(int fd, int flags) {
  return (flags & (MSG_TRUNC | MSG_ERRQUEUE)) == 0 && traffic_is_followed(fd);
}

INTERPOSED ssize_t read(int fd, void* bytes, size_t size) {
  if (!traffic_is_followed(fd)) return libc.read(fd, bytes, size);
  return note(fd, bytes, libc.read(fd, bytes, size));
}

INTERPOSED ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  if (!is_followed(fd, flags)) return libc.recv(fd, bytes, size, flags);
  return note(fd, bytes, libc.recv(fd, bytes, size, flags));
}

INTERPOSED ssize_t recvfrom(int fd, void* bytes, size_t size, int flags, __SOCKADDR_ARG from,
                            socklen_t* from_size) {
  if (!is_followed(fd, flags)) return libc.recvfrom(fd, bytes, size, flags, from.__sockaddr__, from_size);
  return note(fd, bytes, libc.recvfrom(fd, bytes, size, flags, from.__sockaddr__, from_size));
}

static ssize_t note_first(int fd, const struct iovec* parts, size_t count, ssize_t received) {
  if (received <= 0 || count == 0) return received;
  const size_t here = parts[0].iov_len < (size_t)received ? parts[0].iov_len : (size_t)received;
  traffic_received(fd, parts[0].iov_base, here);
  return received;
}

INTERPOSED ssize_t readv(int fd, const struct iovec* parts, int count) {
  if (!traffic_is_followed(fd)) return libc.readv(fd, parts, count);
  return note_first(fd, parts, (size_t)count, libc.readv(fd, parts, count));
}

INTERPOSED ssize_t recvmsg(int fd, struct msghdr* message, int flags) {
  if (!is_followed(fd, flags)) return libc.recvmsg(fd, message, flags);
  return note_first(fd, message->msg_iov, message->msg_iovlen, libc.recvmsg(fd, message, flags));
}

/* Variants that -D_FORTIFY_SOURCE calls. */
INTERPOSED ssize_t __read_chk(int fd, void* bytes, size_t size, size_t room) {
  if (!traffic_is_followed(fd)) return libc.__read_chk(fd, bytes, size, room);
  return note(fd, bytes, libc.__read_chk(fd, bytes, size, room));
}

INTERPOSED ssize_t __recv_chk(int fd, void* bytes, size_t size, size_t room, int flags) {
  if (!is_followed(fd, flags)) return libc.__recv_chk(fd, bytes, size, room, flags);
  return note(fd, bytes, libc.__recv_chk(fd, bytes, size, room, flags));
}

INTERPOSED ssize_t __recvfrom_chk(int fd, void* bytes, size_t size, size_t room, int flags,
                                  __SOCKADDR_ARG from, socklen_t* from_size) {
  if (!is_followed(fd, flags))
    return libc.__recvfrom_chk(fd, bytes, size, room, flags, from.__sockaddr__, from_size);
  return note(fd, bytes, libc.__recvfrom_chk(fd, bytes, size, room, flags, from.__sockaddr__, from_size));
}
