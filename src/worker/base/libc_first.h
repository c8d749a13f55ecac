/* The first functions of the table in libc.c, included there only: FIRST(type, name, parameters, values).
 * Variadic functions get as many words as the system calls have. */
FIRST(int, accept, (int fd, struct sockaddr* address, socklen_t* size), (fd, address, size))
FIRST(int, accept4, (int fd, struct sockaddr* address, socklen_t* size, int flags),
      (fd, address, size, flags))
FIRST(int, close, (int fd), (fd))
FIRST(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
FIRST(int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event* event),
      (epoll, operation, fd, event))
FIRST(int, epoll_wait, (int epoll, struct epoll_event* events, int count, int limit),
      (epoll, events, count, limit))
FIRST(ssize_t, read, (int fd, void* bytes, size_t size), (fd, bytes, size))
FIRST(ssize_t, recv, (int fd, void* bytes, size_t size, int flags), (fd, bytes, size, flags))
FIRST(ssize_t, readv, (int fd, const struct iovec* parts, int count), (fd, parts, count))
FIRST(ssize_t, recvmsg, (int fd, struct msghdr* message, int flags), (fd, message, flags))
FIRST(ssize_t, write, (int fd, const void* bytes, size_t size), (fd, bytes, size))
FIRST(ssize_t, send, (int fd, const void* bytes, size_t size, int flags), (fd, bytes, size, flags))
FIRST(ssize_t, writev, (int fd, const struct iovec* parts, int count), (fd, parts, count))
FIRST(ssize_t, sendmsg, (int fd, const struct msghdr* message, int flags), (fd, message, flags))
FIRST(ssize_t, recvfrom,
      (int fd, void* bytes, size_t size, int flags, struct sockaddr* from, socklen_t* from_size),
      (fd, bytes, size, flags, from, from_size))
FIRST(ssize_t, sendto,
      (int fd, const void* bytes, size_t size, int flags, const struct sockaddr* to, socklen_t to_size),
      (fd, bytes, size, flags, to, to_size))
FIRST(int, sendmmsg, (int fd, struct mmsghdr* messages, unsigned count, int flags),
      (fd, messages, count, flags))
FIRST(ssize_t, sendfile64, (int to, int from, off64_t* offset, size_t size), (to, from, offset, size))
FIRST(ssize_t, splice,
      (int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size, unsigned flags),
      (from, from_offset, to, to_offset, size, flags))
FIRST(int, vdprintf, (int fd, const char* format, va_list values), (fd, format, values))
FIRST(int, __vdprintf_chk, (int fd, int flag, const char* format, va_list values), (fd, flag, format, values))
FIRST(ssize_t, __read_chk, (int fd, void* bytes, size_t size, size_t room), (fd, bytes, size, room))
FIRST(ssize_t, __recv_chk, (int fd, void* bytes, size_t size, size_t room, int flags),
      (fd, bytes, size, room, flags))
FIRST(ssize_t, __recvfrom_chk,
      (int fd, void* bytes, size_t size, size_t room, int flags, struct sockaddr* from, socklen_t* from_size),
      (fd, bytes, size, room, flags, from, from_size))
FIRST(int, bind, (int fd, const struct sockaddr* address, socklen_t size), (fd, address, size))
FIRST(int, listen, (int fd, int backlog), (fd, backlog))
FIRST(int, connect, (int fd, const struct sockaddr* address, socklen_t size), (fd, address, size))
FIRST(int, shutdown, (int fd, int how), (fd, how))
FIRST(int, setsockopt, (int fd, int level, int name, const void* value, socklen_t size),
      (fd, level, name, value, size))
FIRST(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))
FIRST(int, dup, (int fd), (fd))
FIRST(int, dup2, (int fd, int as), (fd, as))
FIRST(int, dup3, (int fd, int as, int flags), (fd, as, flags))
FIRST(int, ppoll, (struct pollfd * fds, nfds_t count, const struct timespec* timeout, const sigset_t* mask),
      (fds, count, timeout, mask))
FIRST(int, select, (int count, fd_set* in, fd_set* out, fd_set* failed, struct timeval* timeout),
      (count, in, out, failed, timeout))
FIRST(int, pselect,
      (int count, fd_set* in, fd_set* out, fd_set* failed, const struct timespec* timeout,
       const sigset_t* mask),
      (count, in, out, failed, timeout, mask))
FIRST(int, epoll_pwait, (int epoll, struct epoll_event* events, int count, int limit, const sigset_t* mask),
      (epoll, events, count, limit, mask))
FIRST(int, epoll_pwait2,
      (int epoll, struct epoll_event* events, int count, const struct timespec* limit, const sigset_t* mask),
      (epoll, events, count, limit, mask))
FIRST(int, unlink, (const char* path), (path))
FIRST(int, unlinkat, (int directory, const char* path, int flags), (directory, path, flags))
FIRST(int, remove, (const char* path), (path))
FIRST(int, rename, (const char* from, const char* to), (from, to))
FIRST(int, renameat, (int from_directory, const char* from, int to_directory, const char* to),
      (from_directory, from, to_directory, to))
FIRST(int, renameat2,
      (int from_directory, const char* from, int to_directory, const char* to, unsigned flags),
      (from_directory, from, to_directory, to, flags))
FIRST(int, daemon, (int keep_directory, int keep_streams), (keep_directory, keep_streams))
FIRST(pid_t, setsid, (void), ())
FIRST(int, pthread_create,
      (pthread_t * thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument),
      (thread, attributes, run, argument))
FIRST(int, thrd_create, (thrd_t * thread, thrd_start_t run, void* argument), (thread, run, argument))
FIRST(int, pthread_sigmask, (int how, const sigset_t* set, sigset_t* before), (how, set, before))
FIRST(int, sigaction, (int number, const struct sigaction* action, struct sigaction* before),
      (number, action, before))
FIRST(sighandler_t, signal, (int number, sighandler_t handler), (number, handler))
FIRST_END(exit)
FIRST_END(_exit)

#define WORDS(last, count)                                                   \
  unsigned long a[count];                                                    \
  va_list arguments;                                                         \
  va_start(arguments, last);                                                 \
  for (int i = 0; i < (count); ++i) a[i] = va_arg(arguments, unsigned long); \
  va_end(arguments);                                                         \
  libc_setup();

static int first_fcntl(int fd, int command, ...) {
  WORDS(command, 1)
  return libc.fcntl(fd, command, a[0]);
}
static int first_ioctl(int fd, unsigned long request, ...) {
  WORDS(request, 1)
  return libc.ioctl(fd, request, a[0]);
}
static int first_prctl(int option, ...) {
  WORDS(option, 4)
  return libc.prctl(option, a[0], a[1], a[2], a[3]);
}
static long first_syscall(long number, ...) {
  WORDS(number, 6)
  return libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#undef WORDS
