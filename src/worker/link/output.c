#include "output.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contract/channel.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"

enum { STREAMS = 2 };

static const int fallbacks[STREAMS] = {LIVESWAP_FD_OUTPUT, LIVESWAP_FD_ERROR};

static struct {
  bool is_piped;
  bool has_fallback; /* the master passed a descriptor to write to after its death; else /dev/null */
  struct stat pipe;
} streams[STREAMS];

/* Read ends of the two pipes; set when the master has died. */
static atomic_int readers[STREAMS] = {-1, -1};
static atomic_flag is_passing_on = ATOMIC_FLAG_INIT;

/* By dlsym(): a reference to the variable would make the host export it (as `environ` in main.c). */
static FILE* standard_output(void) {
  FILE* const* const found = dlsym(RTLD_DEFAULT, "stdout");
  return found != NULL ? *found : NULL;
}

void output_by_lines(void) {
  FILE* const out = standard_output();
  if (out != NULL) setvbuf(out, NULL, _IOLBF, 0);
}

void output_flush(void) {
  FILE* const out = standard_output();
  if (out == NULL || ftrylockfile(out) != 0) return;
  fflush_unlocked(out);
  funlockfile(out);
}

void output_adopt(void) {
  for (int i = 0; i < STREAMS; ++i) {
    streams[i].is_piped =
        fstat(STDOUT_FILENO + i, &streams[i].pipe) == 0 && S_ISFIFO(streams[i].pipe.st_mode);
    streams[i].has_fallback = libc.fcntl(fallbacks[i], F_SETFD, FD_CLOEXEC) == 0;
    if (streams[i].has_fallback) fd_flags_set(fallbacks[i], FLAG_HOST);
  }
}

/* Opens the pipe anew, for an open file with flags of its own: O_NONBLOCK must not reach the processes that
 * write into the pipe. */
static int open_reader(int fd) {
  char path[] = "/proc/self/fd/0";
  path[sizeof path - 2] = (char)('0' + fd);
  return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* The application may have redirected the descriptor. */
static bool is_still_the_pipe(int which) {
  struct stat now;
  return fstat(STDOUT_FILENO + which, &now) == 0 && now.st_dev == streams[which].pipe.st_dev &&
         now.st_ino == streams[which].pipe.st_ino;
}

static void redirect(int which) {
  const int fd = STDOUT_FILENO + which;
  if (!streams[which].is_piped || !is_still_the_pipe(which)) return;
  const int reader = open_reader(fd);
  const int null_device = streams[which].has_fallback ? -1 : open("/dev/null", O_WRONLY | O_CLOEXEC);
  libc.dup2(null_device >= 0 ? null_device : fallbacks[which], fd);
  if (null_device >= 0) libc.close(null_device);
  atomic_store(&readers[which], host_fd(reader));
}

/* Drops what `to` cannot take at once, so that processes that write into the pipe never block. */
static void pass_on(int reader, int to) {
  char bytes[4096]; /* PIPE_BUF: written in one piece to a pipe with room */
  enum { TURNS = 256 };
  ssize_t size = 0;
  for (int i = 0; i < TURNS && (size = read(reader, bytes, sizeof bytes)) > 0; ++i) {
    struct pollfd room = {to, POLLOUT, 0};
    if (libc.poll(&room, 1, 0) == 1 && write(to, bytes, (size_t)size) < 0) continue;
  }
}

void output_abandoned(void) {
  /* The control thread, and the wakeup signal's handler on the application's thread, may be here at once. */
  if (atomic_flag_test_and_set(&is_passing_on)) return;
  for (int i = 0; i < STREAMS; ++i) {
    if (atomic_load(&readers[i]) < 0) redirect(i);
    if (atomic_load(&readers[i]) >= 0) pass_on(atomic_load(&readers[i]), STDOUT_FILENO + i);
  }
  atomic_flag_clear(&is_passing_on);
}

int output_fd(int which) { return atomic_load(&readers[which]); }
