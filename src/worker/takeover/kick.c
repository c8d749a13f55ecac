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

#include "marks.h"
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
  return call == SYS_read || call == SYS_readv || call == SYS_recvfrom || call == SYS_recvmsg || call == SYS_recvmmsg;
}

/* What a thread that is found in a call is for the caller: whether to kick it. */
typedef bool (*choice)(long call, unsigned long first_argument, void* context);

static void each_thread(choice choose, void* context) {
  _Alignas(struct dirent64) char buffer[4096];
  const int number = kick_signal();
  const int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (tasks < 0) return;
  for (ssize_t size = 0; (size = getdents64(tasks, buffer, sizeof buffer)) > 0;) {
    for (ssize_t at = 0; at < size; at += ((struct dirent64*)(buffer + at))->d_reclen) {
      const struct dirent64* entry = (const struct dirent64*)(buffer + at);
      long call = -1;
      unsigned long argument = 0;
      if (!isdigit((unsigned char)entry->d_name[0])) continue;
      const int thread = atoi(entry->d_name);
      if (thread == gettid() || !read_call(thread, &call, &argument)) continue;
      if (choose(call, argument, context) && number > 0) tgkill(getpid(), thread, number);
    }
  }
  real.close(tasks);
}

/* Who receives datagrams would take one more from those who serve now. */
static bool waits(long call, unsigned long argument, void* context) {
  (void)context;
  return waits_for_descriptors(call) || (reads(call) && (marks_of((int)argument) & MARK_SEIZED) != 0);
}

void kick_waiting_threads(void) { each_thread(waits, NULL); }

static bool has_to_do_with_moved(long call, unsigned long argument, void* context) {
  (void)context;
  return waits_for_descriptors(call) || (reads(call) && (marks_of((int)argument) & MARK_MOVED) != 0);
}

void kick_users_of_moved(void) { each_thread(has_to_do_with_moved, NULL); }

struct note {
  void (*note)(int fd);
};

static bool note_reader(long call, unsigned long argument, void* context) {
  if (reads(call)) ((const struct note*)context)->note((int)argument);
  return false;
}

void kick_note_readers(void (*note)(int fd)) { each_thread(note_reader, &(struct note){note}); }
