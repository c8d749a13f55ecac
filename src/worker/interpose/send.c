/* Calls that send on a socket. They call libc's function and pass the bytes sent on to takeover/traffic.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "worker/base/libc.h"
#include "worker/takeover/traffic.h"

static ssize_t note(int fd, const void* bytes, ssize_t sent) {
  if (sent > 0 && traffic_is_followed(fd)) traffic_sent(fd, bytes, (size_t)sent);
  return sent;
}

INTERPOSED ssize_t write(int fd, const void* bytes, size_t size) {
  return note(fd, bytes, libc.write(fd, bytes, size));
}

INTERPOSED ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  return note(fd, bytes, libc.send(fd, bytes, size, flags));
}

INTERPOSED ssize_t sendto(int fd, const void* bytes, size_t size, int flags, __CONST_SOCKADDR_ARG to,
                          socklen_t to_size) {
  return note(fd, bytes, libc.sendto(fd, bytes, size, flags, to.__sockaddr__, to_size));
}

static ssize_t note_parts(int fd, const struct iovec* parts, size_t count, ssize_t sent) {
  if (sent > 0 && traffic_is_followed(fd)) traffic_sent_parts(fd, parts, count, (size_t)sent);
  return sent;
}

INTERPOSED ssize_t writev(int fd, const struct iovec* parts, int count) {
  return note_parts(fd, parts, (size_t)count, libc.writev(fd, parts, count));
}

INTERPOSED ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  const ssize_t sent = libc.sendmsg(fd, message, flags);
  return sent > 0 ? note_parts(fd, message->msg_iov, message->msg_iovlen, sent) : sent;
}

INTERPOSED int sendmmsg(int fd, struct mmsghdr* messages, unsigned count, int flags) {
  const int sent = libc.sendmmsg(fd, messages, count, flags);
  for (int i = 0; i < sent; ++i)
    note_parts(fd, messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen, (ssize_t)messages[i].msg_len);
  return sent;
}

static ssize_t note_file(int fd, ssize_t sent) {
  if (sent > 0 && traffic_is_followed(fd)) traffic_sent_file(fd, (size_t)sent);
  return sent;
}

/* Both names as assembler aliases: <sys/sendfile.h> may redirect one to the other. */
static ssize_t followed_sendfile(int to, int from, off64_t* offset, size_t size) {
  return note_file(to, libc.sendfile64(to, from, offset, size));
}
INTERPOSED extern __typeof__(followed_sendfile) any_sendfile __asm__("sendfile")
    __attribute__((alias("followed_sendfile")));
INTERPOSED extern __typeof__(followed_sendfile) large_sendfile __asm__("sendfile64")
    __attribute__((alias("followed_sendfile")));

INTERPOSED ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size,
                          unsigned flags) {
  return note_file(to, libc.splice(from, from_offset, to, to_offset, size, flags));
}

/* dprintf() formats and writes within libc. The text is formatted once more here, with the errno that %m
 * shows. If the result differs in length, the bytes sent are unknown. */
static COLD void note_text(int fd, size_t size, int error, const char* format, va_list values) {
  char some[2048];
  const int after = errno;
  char* const text = size < sizeof some ? some : malloc(size + 1);
  errno = error;
  const int made = text != NULL ? vsnprintf(text, size + 1, format, values) : -1;
  if (made >= 0 && (size_t)made == size) traffic_sent(fd, text, size);
  else traffic_lost(fd);
  if (text != some) free(text);
  errno = after;
}

/* `flag`: of the variants that -D_FORTIFY_SOURCE calls, else PLAIN. */
enum { PLAIN = -1 };
static int print(int fd, int flag, const char* format, va_list values) {
  va_list again;
  const int error = errno;
  va_copy(again, values);
  const int sent =
      flag == PLAIN ? libc.vdprintf(fd, format, values) : libc.__vdprintf_chk(fd, flag, format, values);
  if (sent > 0 && traffic_is_followed(fd)) note_text(fd, (size_t)sent, error, format, again);
  va_end(again);
  return sent;
}

INTERPOSED int vdprintf(int fd, const char* format, va_list values) {
  return print(fd, PLAIN, format, values);
}

INTERPOSED int dprintf(int fd, const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int sent = print(fd, PLAIN, format, values);
  va_end(values);
  return sent;
}

INTERPOSED int __vdprintf_chk(int fd, int flag, const char* format, va_list values) {
  return print(fd, flag, format, values);
}

INTERPOSED int __dprintf_chk(int fd, int flag, const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int sent = print(fd, flag, format, values);
  va_end(values);
  return sent;
}
