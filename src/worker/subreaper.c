#include "subreaper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contract/channel.h"
#include "worker/base/clock.h"
#include "worker/base/libc.h"

enum {
  /* How long a check or plugin may take to end by itself once the master has gone. */
  LEAVE_LIMIT_MS = 1000,
  /* How long to kill processes that start the next one faster than they can be killed. */
  KILL_LIMIT_MS = 1000,
  /* Pause between two rounds of kill and reap. */
  KILL_STEP_MS = 2,
  REPORTS_MAX = 16, /* processes reported to the master, at most */
  NAME_SIZE = 32,
};

static pid_t child;
static int child_status;
static volatile sig_atomic_t ordered; /* to end, by SIGTERM */
static pid_t reported[REPORTS_MAX];
static int reported_count;

static void read_name(pid_t pid, char* name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t size = file < 0 ? -1 : libc.read(file, name, NAME_SIZE - 1);
  if (file >= 0) libc.close(file);
  name[size > 0 ? size : 0] = '\0';
  name[strcspn(name, "\n")] = '\0';
}

static bool is_reported(pid_t pid) {
  for (int i = 0; i < reported_count; ++i)
    if (reported[i] == pid) return true;
  return false;
}

/* Sends "4711 name", without waiting for room in the channel. */
static void report(pid_t pid, bool in_group) {
  char name[NAME_SIZE];
  char text[NAME_SIZE + 16];
  if (reported_count == REPORTS_MAX || is_reported(pid)) return;
  reported[reported_count++] = pid;
  read_name(pid, name);
  const int size = snprintf(text, sizeof text, "%d %s", (int)pid, name);
  struct liveswap_frame frame = {.kind = LIVESWAP_LEFT, .value = in_group};
  struct iovec parts[2] = {{&frame, sizeof frame}, {text, (size_t)size}};
  struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
  sendmsg(LIVESWAP_FD_CHANNEL, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* After a timeout (`timed_out`) the rest of the check's process group is killed too, but is not reported as
 * left behind. */
static void kill_one(pid_t pid, bool timed_out) {
  const bool in_group = getpgid(pid) == getpgrp();
  if (pid != child && !(timed_out && in_group)) report(pid, in_group);
  kill(pid, SIGKILL);
}

/* The children of a killed child become children of this process, so a later round finds them. */
static void kill_children(bool timed_out) {
  FILE* list = fopen("/proc/thread-self/children", "re");
  int pid = 0;
  if (list == NULL) return;
  while (fscanf(list, "%d", &pid) == 1) kill_one(pid, timed_out);
  fclose(list);
}

/* False: no children left. */
static bool reap(void) {
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid != child) continue;
    child_status = status;
    child = -1;
  }
  return pid == 0;
}

static void end_all(bool timed_out) {
  const int64_t limit = clock_ms() + KILL_LIMIT_MS;
  while (reap() && clock_ms() < limit) {
    kill_children(timed_out);
    const struct timespec step = clock_timespec(KILL_STEP_MS);
    nanosleep(&step, NULL);
  }
}

static _Noreturn void end_as_child(void) {
  if (WIFEXITED(child_status)) libc._exit(WEXITSTATUS(child_status));
  const int number = WTERMSIG(child_status);
  sigset_t all;
  sigfillset(&all);
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* the child has dumped core already */
  libc.signal(number, SIG_DFL);
  kill(getpid(), number);
  libc.pthread_sigmask(SIG_UNBLOCK, &all, NULL);
  libc._exit(128 + number);
}

static void note_signal(int number) {
  if (number == SIGTERM) ordered = 1;
}

/* Returns when the child has ended, at SIGTERM, or when the master has gone and the child stays. SIGCHLD and
 * SIGTERM are blocked except in ppoll() with the mask `waiting`, so that none is missed between reap() and
 * ppoll(). POLLHUP: the master has closed the channel, also by dying. */
static void await_end(const sigset_t* waiting) {
  struct pollfd channel = {.fd = LIVESWAP_FD_CHANNEL};
  int64_t limit = INT64_MAX;
  for (reap(); child > 0 && !ordered && clock_ms() < limit; reap()) {
    const struct timespec time = clock_timespec(limit - clock_ms());
    if (libc.ppoll(&channel, 1, limit < INT64_MAX ? &time : NULL, waiting) <= 0) continue;
    channel.fd = -1;
    if ((channel.revents & POLLHUP) != 0) limit = clock_ms() + LEAVE_LIMIT_MS;
  }
}

static _Noreturn void watch(const sigset_t* waiting) {
  const struct sigaction action = {.sa_handler = note_signal};
  libc.prctl(PR_SET_NAME, "lsw:subreaper");
  libc.sigaction(SIGCHLD, &action, NULL);
  libc.sigaction(SIGTERM, &action, NULL);
  await_end(waiting);
  const bool timed_out = child > 0;
  end_all(timed_out);
  if (child > 0) child_status = SIGKILL; /* not even SIGKILL ends it */
  end_as_child();
}

bool subreaper_begin(void) {
  sigset_t awaited;
  sigset_t before;
  sigset_t waiting;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  sigaddset(&awaited, SIGTERM);
  if (libc.prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return false;
  libc.pthread_sigmask(SIG_BLOCK, &awaited, &before);
  waiting = before;
  sigdelset(&waiting, SIGCHLD);
  sigdelset(&waiting, SIGTERM);
  child = fork();
  if (child > 0) watch(&waiting);
  const int error = errno;
  libc.pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  if (child < 0) return false;
  /* If the library kills the subreaper, this process must not live on unsupervised. */
  libc.prctl(PR_SET_PDEATHSIG, SIGKILL);
  return true;
}
