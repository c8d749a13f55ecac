#include "seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bind.h"
#include "worker/api/listeners.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/options.h"
#include "worker/base/socket.h"
#include "worker/control/control_thread.h"
#include "worker/link/channel.h"

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#define ARCHITECTURE 0
#endif

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Value of the fourth argument, which bind and listen do not have, in calls of the worker host itself: the
 * filter lets them pass. */
static const uint64_t pass_value = 0x6c69766573776170; /* "liveswap" */

static int notices = -1;
/* To copy from the application's memory: write() returns EFAULT where a load would crash. */
static int pipe_ends[2] = {-1, -1};
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
/* Cookie of a socket in a bind() that was interrupted before the answer arrived; the application will repeat
 * the call. */
static uint64_t unanswered;

static int call_unfiltered(long number, int fd, long second, long third) {
  const long done = libc.syscall(number, (long)fd, second, third, (long)pass_value, 0L, 0L);
  const int error = errno;
  /* Clears the argument register: a later call of the application might leave the value in place. */
  libc.syscall(SYS_gettid, 0L, 0L, 0L, 0L, 0L, 0L);
  errno = error;
  return (int)done;
}

static int unfiltered_bind(int fd, const struct sockaddr* address, socklen_t size) {
  return call_unfiltered(SYS_bind, fd, (long)address, (long)size);
}

static int unfiltered_listen(int fd, int backlog) { return call_unfiltered(SYS_listen, fd, backlog, 0); }

static bool read_address(uint64_t from, socklen_t size, union address* address) {
  if (size > sizeof *address || write(pipe_ends[1], (const void*)(uintptr_t)from, size) != (ssize_t)size)
    return false;
  return read(pipe_ends[0], address, size) == (ssize_t)size;
}

/* A bind to port 0 is left alone: a client may do so before connect(), which the filter does not
 * intercept. */
static bool is_any_port(const union address* address, socklen_t size) {
  const sa_family_t family = address->any.sa_family;
  return (family == AF_INET || family == AF_INET6) && size >= sizeof(struct sockaddr_in) &&
         ((const struct sockaddr_in*)address)->sin_port == 0;
}

static int do_bind(const struct seccomp_data* call) {
  const int fd = (int)call->args[0];
  const socklen_t size = (socklen_t)call->args[2];
  union address address;
  uint64_t cookie = 0;
  /* The kernel returns the right error. */
  if (size < sizeof(sa_family_t) || !read_address(call->args[1], size, &address)) return TAKEOVER_NOT_OURS;
  if (is_any_port(&address, size) || !socket_cookie(fd, &cookie)) return TAKEOVER_NOT_OURS;
  if (cookie == unanswered && listeners_held(fd) != NULL) return 0;
  return takeover_bind(fd, &address.any, size);
}

/* Calls of forked children arrive here too. */
static bool is_own_thread(uint32_t thread) { return thread != 0 && tgkill(getpid(), (pid_t)thread, 0) == 0; }

static int do_call(const struct seccomp_notif* notice) {
  if (!is_own_thread(notice->pid)) return TAKEOVER_NOT_OURS;
  if (notice->data.nr == SYS_bind) return do_bind(&notice->data);
  return takeover_listen((int)notice->data.args[0], (int)notice->data.args[1]);
}

static void answer(const struct seccomp_notif* notice, struct seccomp_notif_resp* response) {
  const int error = do_call(notice);
  response->id = notice->id;
  if (error == TAKEOVER_NOT_OURS) response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  else response->error = -error;
  const bool sent = libc.ioctl(notices, SECCOMP_IOCTL_NOTIF_SEND, response) == 0;
  if (notice->data.nr != SYS_bind || error != 0) return;
  unanswered = 0;
  if (!sent) socket_cookie((int)notice->data.args[0], &unanswered);
}

static void* serve(void* unused) {
  (void)unused;
  pthread_setname_np(pthread_self(), "lsw-intercept");
  /* Wait until the filter is installed. */
  pthread_mutex_lock(&starting);
  pthread_mutex_unlock(&starting);
  for (;;) {
    /* Room for later kernels, where the structures may be larger. */
    static union {
      struct seccomp_notif notice;
      char room[1024];
    } in;
    static union {
      struct seccomp_notif_resp response;
      char room[1024];
    } out;
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    /* ENOENT: the caller was killed meanwhile. */
    if (libc.ioctl(notices, SECCOMP_IOCTL_NOTIF_RECV, &in) == 0) answer(&in.notice, &out.response);
    else if (errno != EINTR && errno != ENOENT) return NULL;
  }
}

static long install(unsigned long flags) {
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define HALF(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3]) + (at))
#define IF(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (then), (otherwise))
  /* Two 32-bit halves, little-endian on all machines with ARCHITECTURE. */
  struct sock_filter filter[] = {
      FIELD(arch),
      IF((uint32_t)ARCHITECTURE, 0, 7),
      FIELD(nr),
      IF((uint32_t)SYS_bind, 1, 0),
      IF((uint32_t)SYS_listen, 0, 4),
      HALF(0),
      IF((uint32_t)pass_value, 0, 3),
      HALF(4),
      IF((uint32_t)(pass_value >> 32), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
  };
#undef FIELD
#undef HALF
#undef IF
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  return libc.syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* SPEC_ALLOW: the filter is no sandbox, so mitigations that slow down the CPU are not needed. */
static long install_best(void) {
  const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  /* WAIT_KILLABLE_RECV since Linux 5.19. Without it a signal interrupts the caller, which then calls
   * again. */
  const long fd = install(flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  return fd < 0 && errno == EINVAL ? install(flags) : fd;
}

static const char* advice(int error) {
  switch (error) {
    case EBUSY:
      return "a sandbox or container runtime around liveswap already has such a filter, and the kernel "
             "allows "
             "only one; start liveswap outside of it";
    case EINVAL: return "it needs Linux 5.5 with CONFIG_SECCOMP_FILTER";
    case ENOSYS:
    case EPERM:
    case EACCES:
      return "a sandbox or container around liveswap forbids the system call seccomp; allow it there";
    default: return "start without --intercept seccomp if the application binds by libc";
  }
}

static _Noreturn void refuse(const char* what) {
  const int error = errno;
  channel_fail(LIVESWAP_STAGE_START, "--intercept seccomp: cannot %s: %s: %s", what, strerror(error),
               advice(error));
}

/* A forked child must close the descriptor; otherwise a call of the child would wait for ever once the worker
 * is gone. */
static void forget_in_child(void) {
  if (notices < 0) return;
  libc.close(notices);
  notices = -1;
  options_set_seccomp(false);
  libc.close(pipe_ends[0]);
  libc.close(pipe_ends[1]);
}

void seccomp_begin(void) {
  pthread_t thread;
  if (ARCHITECTURE == 0) {
    channel_fail(LIVESWAP_STAGE_START,
                 "--intercept seccomp: not supported on this processor; start without it");
  }
  if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) refuse("make a pipe");
  pthread_mutex_lock(&starting);
  if (!control_thread_make(&thread, serve, NULL)) refuse("start a thread");
  pthread_detach(thread);
  libc.bind = unfiltered_bind;
  libc.listen = unfiltered_listen;
  notices = (int)install_best();
  if (notices < 0 && errno == EACCES) {
    /* Without CAP_SYS_ADMIN, a filter needs PR_SET_NO_NEW_PRIVS. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) refuse("give up new privileges");
    notices = (int)install_best();
  }
  if (notices < 0) refuse("install a filter");
  options_set_seccomp(true);
  host_fd(notices);
  host_fd(pipe_ends[0]);
  host_fd(pipe_ends[1]);
  pthread_atfork(NULL, NULL, forget_in_child);
  pthread_mutex_unlock(&starting);
}
