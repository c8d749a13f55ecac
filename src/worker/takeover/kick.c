#include "kick.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "real.h"

static __thread volatile unsigned kicks;

unsigned kick_count(void) { return kicks; }

static void on_kick(int number) {
  (void)number;
  ++kicks;
}

/* High, where applications seldom look for one. SA_RESTART: accept and read go on by themselves, with the descriptor
 * looked up anew. */
static int kick_signal(void) {
  static int number;
  if (number != 0) return number;
  struct sigaction action = {.sa_handler = on_kick, .sa_flags = SA_RESTART};
  struct sigaction before;
  for (int candidate = SIGRTMAX - 1; candidate > SIGRTMIN; --candidate) {
    if (sigaction(candidate, NULL, &before) != 0 || before.sa_handler != SIG_DFL) continue;
    sigfillset(&action.sa_mask);
    if (sigaction(candidate, &action, NULL) == 0) return number = candidate;
  }
  return -1;
}

/* "7 0x5 0x7f… …": the call and its arguments; "running" and such for a thread that is in none. */
static bool read_call(int thread, long* call, unsigned long* first_argument) {
  char path[64];
  char text[256];
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t size = read(fd, text, sizeof text - 1);
  real.close(fd);
  if (size <= 0) return false;
  text[size] = '\0';
  return sscanf(text, "%ld %lx", call, first_argument) == 2;
}

static bool waits_for_descriptors(long call) {
#ifdef SYS_poll
  if (call == SYS_poll || call == SYS_select) return true;
#endif
  return call == SYS_ppoll || call == SYS_pselect6;
}

static bool reads(long call) {
  return call == SYS_read || call == SYS_readv || call == SYS_recvfrom || call == SYS_recvmsg;
}

/* `reader_of`: -1 for those who wait. */
static int kick(int reader_of) {
  _Alignas(struct dirent64) char buffer[4096];
  const int number = kick_signal();
  const int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int count = 0;
  if (tasks < 0) return 0;
  for (ssize_t size = 0; (size = getdents64(tasks, buffer, sizeof buffer)) > 0;) {
    for (ssize_t at = 0; at < size; at += ((struct dirent64*)(buffer + at))->d_reclen) {
      const struct dirent64* entry = (const struct dirent64*)(buffer + at);
      long call = -1;
      unsigned long argument = 0;
      if (!isdigit((unsigned char)entry->d_name[0])) continue;
      const int thread = atoi(entry->d_name);
      if (thread == gettid() || !read_call(thread, &call, &argument)) continue;
      if (reader_of < 0 ? !waits_for_descriptors(call) : !reads(call) || argument != (unsigned long)reader_of) continue;
      ++count;
      if (number > 0) tgkill(getpid(), thread, number);
    }
  }
  real.close(tasks);
  return count;
}

void kick_waiting_threads(void) { kick(-1); }

int kick_readers_of(int fd) { return kick(fd); }
