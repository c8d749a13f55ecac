/* The system calls that can fail, at the points where the master and libuv call libc or syscall(). Calls that
 * libc makes itself count at the function that was called: fopen(), opendir(), mkostemp(). */
/* Here, open() and open64() are two different functions. */
#undef _FILE_OFFSET_BITS
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload.h"

#define REAL(name) (__extension__(__typeof__(&name)) real(#name))

/* dlsym() takes a lock of the loader. libuv's signal handler calls read() and write(), so it must not
 * interrupt the code that holds the lock. */
static void* real(const char* name) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  void* found = dlsym(RTLD_NEXT, name);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return found;
}

static int fails(const char* name) { return shall_fail(BOARD_SYSTEM_CALLS, name); }

/* Defines a function with fixed parameters that returns -1 on failure. */
#define CALL(type, name, parameters, arguments, first, second) \
  SEEN type name parameters {                                  \
    if (fails(#name)) return fail_with(first, second);         \
    return REAL(name) arguments;                               \
  }

CALL(ssize_t, pwrite, (int fd, const void* bytes, size_t size, off_t at), (fd, bytes, size, at), ENOSPC, EIO)
CALL(ssize_t, pwrite64, (int fd, const void* bytes, size_t size, off64_t at), (fd, bytes, size, at), ENOSPC,
     EIO)
CALL(ssize_t, send, (int fd, const void* bytes, size_t size, int flags), (fd, bytes, size, flags), EAGAIN,
     ENOMEM)
CALL(ssize_t, recvmsg, (int fd, struct msghdr* message, int flags), (fd, message, flags), EINTR, ENOMEM)
CALL(int, fdatasync, (int fd), (fd), EIO, ENOSPC)
CALL(int, ftruncate, (int fd, off_t size), (fd, size), EIO, ENOSPC)
CALL(int, ftruncate64, (int fd, off64_t size), (fd, size), EIO, ENOSPC)
CALL(int, rename, (const char* from, const char* to), (from, to), EIO, ENOSPC)
CALL(int, link, (const char* from, const char* to), (from, to), ENOSPC, EIO)
CALL(int, unlink, (const char* path), (path), EIO, ENOMEM)
CALL(int, mkdir, (const char* path, mode_t mode), (path, mode), ENOSPC, EIO)
CALL(int, stat, (const char* path, struct stat* info), (path, info), ENOMEM, EIO)
CALL(int, stat64, (const char* path, struct stat64* info), (path, info), ENOMEM, EIO)
CALL(int, lstat, (const char* path, struct stat* info), (path, info), ENOMEM, EIO)
CALL(int, lstat64, (const char* path, struct stat64* info), (path, info), ENOMEM, EIO)
CALL(int, fstat, (int fd, struct stat* info), (fd, info), ENOMEM, EIO)
CALL(int, fstat64, (int fd, struct stat64* info), (fd, info), ENOMEM, EIO)
CALL(int, access, (const char* path, int mode), (path, mode), ENOMEM, EIO)
CALL(int, chmod, (const char* path, mode_t mode), (path, mode), EIO, ENOMEM)
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), EIO, ENOMEM)
CALL(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), EIO, ENOMEM)
CALL(int, flock, (int fd, int operation), (fd, operation), ENOLCK, EINTR)
CALL(int, dup2, (int from, int to), (from, to), EMFILE, EBUSY)
CALL(int, dup3, (int from, int to, int flags), (from, to, flags), EMFILE, EBUSY)
CALL(int, execve, (const char* path, char* const words[], char* const variables[]), (path, words, variables),
     ENOMEM, EIO)
CALL(int, accept4, (int fd, __SOCKADDR_ARG from, socklen_t* restrict size, int flags),
     (fd, from, size, flags), EMFILE, ENOMEM)
CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, ENOMEM)
CALL(int, socketpair, (int domain, int type, int protocol, int ends[2]), (domain, type, protocol, ends),
     EMFILE, ENOMEM)
CALL(int, bind, (int fd, __CONST_SOCKADDR_ARG to, socklen_t size), (fd, to, size), ENOMEM, EADDRINUSE)
CALL(int, listen, (int fd, int backlog), (fd, backlog), ENOMEM, EADDRINUSE)
CALL(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t size), (fd, to, size), EAGAIN, ENOMEM)
CALL(int, setsockopt, (int fd, int level, int name, const void* value, socklen_t size),
     (fd, level, name, value, size), ENOMEM, ENOBUFS)
CALL(int, getsockopt, (int fd, int level, int name, void* restrict value, socklen_t* restrict size),
     (fd, level, name, value, size), ENOMEM, ENOBUFS)
CALL(int, pipe2, (int ends[2], int flags), (ends, flags), EMFILE, ENFILE)
CALL(int, memfd_create, (const char* name, unsigned flags), (name, flags), EMFILE, ENOMEM)
CALL(int, epoll_create1, (int flags), (flags), EMFILE, ENOMEM)
CALL(int, eventfd, (unsigned count, int flags), (count, flags), EMFILE, ENOMEM)
CALL(int, inotify_init1, (int flags), (flags), EMFILE, ENOMEM)
CALL(int, inotify_add_watch, (int fd, const char* path, uint32_t mask), (fd, path, mask), ENOSPC, ENOMEM)
CALL(int, mkostemp, (char* path, int flags), (path, flags), ENOSPC, EMFILE)
CALL(int, mkostemp64, (char* path, int flags), (path, flags), ENOSPC, EMFILE)
CALL(int, chdir, (const char* path), (path), ENOMEM, EIO)

/* Errors that fit the descriptor: a full disk does not concern a pipe, and libuv's own pipes always have
 * room. */
static int kind_of(int fd) {
  struct stat info;
  return REAL(fstat)(fd, &info) == 0 ? (int)(info.st_mode & S_IFMT) : 0;
}

static int fails_to_write(int fd, const char* name) {
  const int kind = kind_of(fd);
  if ((kind != S_IFREG && kind != S_IFSOCK) || !fails(name)) return 0;
  if (kind == S_IFREG) fail_with(ENOSPC, EIO);
  else fail_with(EAGAIN, ENOMEM);
  return 1;
}

SEEN ssize_t write(int fd, const void* bytes, size_t size) {
  return fails_to_write(fd, "write") ? -1 : REAL(write)(fd, bytes, size);
}

SEEN ssize_t writev(int fd, const struct iovec* parts, int count) {
  return fails_to_write(fd, "writev") ? -1 : REAL(writev)(fd, parts, count);
}

SEEN ssize_t read(int fd, void* bytes, size_t size) {
  if (kind_of(fd) == S_IFREG && fails("read")) return fail_with(EIO, EINTR);
  return REAL(read)(fd, bytes, size);
}

/* Removing a descriptor needs no memory. */
SEEN int epoll_ctl(int set, int operation, int fd, struct epoll_event* event) {
  if (operation != EPOLL_CTL_DEL && fails("epoll_ctl")) return fail_with(ENOMEM, ENOSPC);
  return REAL(epoll_ctl)(set, operation, fd, event);
}

SEEN ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  throw_instead("sendmsg");
  return fails("sendmsg") ? fail_with(EAGAIN, ENOMEM) : REAL(sendmsg)(fd, message, flags);
}

SEEN int fsync(int fd) {
  throw_instead("fsync");
  return fails("fsync") ? fail_with(EIO, ENOSPC) : REAL(fsync)(fd);
}

/* The standard library calls openat() where no exception may occur. */
static void throw_one_of(const char* name) {
  if (strncmp(name, "openat", 6) != 0) throw_instead(name);
}

#define OPEN(name, ...)                                                               \
  SEEN int name(__VA_ARGS__ const char* path, int flags, ...) {                       \
    va_list more;                                                                     \
    va_start(more, flags);                                                            \
    const unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, unsigned) : 0; \
    va_end(more);                                                                     \
    throw_one_of(#name);                                                              \
    if (fails(#name)) return fail_with(EMFILE, flags & O_CREAT ? ENOSPC : ENOMEM);
OPEN(open, ) return REAL(open)(path, flags, mode);
}
OPEN(open64, ) return REAL(open64)(path, flags, mode);
}
OPEN(openat, int directory, ) return REAL(openat)(directory, path, flags, mode);
}
OPEN(openat64, int directory, ) return REAL(openat64)(directory, path, flags, mode);
}

SEEN int __open64_2(const char* path, int flags) {
  if (fails("open64")) return fail_with(EMFILE, ENOMEM);
  return (__extension__(int (*)(const char*, int)) real("__open64_2"))(path, flags);
}

SEEN FILE* fopen64(const char* path, const char* mode) {
  if (!fails("fopen")) return REAL(fopen64)(path, mode);
  fail_with(EMFILE, ENOMEM);
  return NULL;
}

SEEN FILE* fopen(const char* path, const char* mode) {
  if (!fails("fopen")) return REAL(fopen)(path, mode);
  fail_with(EMFILE, ENOMEM);
  return NULL;
}

SEEN DIR* opendir(const char* path) {
  if (!fails("opendir")) return REAL(opendir)(path);
  fail_with(EMFILE, ENOMEM);
  return NULL;
}

SEEN void* mmap(void* where, size_t size, int protection, int flags, int fd, off_t at) {
  if (!fails("mmap")) return REAL(mmap)(where, size, protection, flags, fd, at);
  fail_with(ENOMEM, EAGAIN);
  return MAP_FAILED;
}

static int take_descriptor(int command) { return command == F_DUPFD || command == F_DUPFD_CLOEXEC; }

#define FCNTL(name)                                                                   \
  SEEN int name(int fd, int command, ...) {                                           \
    va_list more;                                                                     \
    va_start(more, command);                                                          \
    void* const argument = va_arg(more, void*);                                       \
    va_end(more);                                                                     \
    if (take_descriptor(command) && fails("fcntl")) return fail_with(EMFILE, ENOMEM); \
    return REAL(name)(fd, command, argument);                                         \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

SEEN int clone(int (*function)(void*), void* stack, int flags, void* argument, ...) {
  va_list more;
  va_start(more, argument);
  pid_t* const parent = va_arg(more, pid_t*);
  va_end(more);
  if (fails("clone")) return fail_with(EAGAIN, ENOMEM);
  return REAL(clone)(function, stack, flags, argument, parent, NULL, NULL);
}

long syscall_unseen(long number, ...) {
  long a[6];
  va_list more;
  va_start(more, number);
  for (int i = 0; i < 6; ++i) a[i] = va_arg(more, long);
  va_end(more);
  return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

SEEN long syscall(long number, ...) {
  long a[6];
  va_list more;
  va_start(more, number);
  for (int i = 0; i < 6; ++i) a[i] = va_arg(more, long);
  va_end(more);
  /* Waiting and sending a signal do not fail for lack of memory. */
  const int never = number == SYS_futex || number == SYS_pidfd_send_signal;
  if (!never && fails("syscall")) return fail_with(ENOMEM, EAGAIN);
  return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
