#include "proc_self.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd_flags.h"
#include "libc.h"

/* Directory handles, one for each concurrent or nested scan. When all are in use, a scan opens another. */
enum { DIRECTORIES = 4 };

struct directory {
  int fd;
  atomic_flag taken;
};

static int root = -1;
static struct directory descriptors[DIRECTORIES];

static int open_directory(const char* path) { return openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

/* The directories are the parent's: a child must not take them for its own. */
static void forget_in_child(void) {
  root = -1;
  for (int i = 0; i < DIRECTORIES; ++i) descriptors[i].fd = -1;
}

bool proc_self_setup(void) {
  root = host_fd(open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; root >= 0 && i < DIRECTORIES; ++i) {
    descriptors[i].fd = host_fd(open_directory("fd"));
    if (descriptors[i].fd < 0) return false;
  }
  return root >= 0 && pthread_atfork(NULL, NULL, forget_in_child) == 0;
}

int proc_self_open(const char* path) { return openat(root, path, O_RDONLY | O_CLOEXEC); }

ssize_t proc_self_read(const char* path, char* text, size_t size) {
  const int fd = proc_self_open(path);
  if (fd < 0) return -1;
  const ssize_t found = read(fd, text, size - 1);
  libc.close(fd);
  if (found >= 0) text[found] = '\0';
  return found;
}

bool proc_self_descriptor_is(int fd, const char* kind) {
  char path[32];
  char found[64];
  snprintf(path, sizeof path, "fd/%d", fd);
  const ssize_t size = readlinkat(root, path, found, sizeof found);
  return size > 0 && (size_t)size == strlen(kind) && memcmp(found, kind, (size_t)size) == 0;
}

static bool each_number(int directory, void (*visit)(int number, void* context), void* context) {
  _Alignas(struct dirent64) char buffer[4096];
  for (ssize_t size = 0; (size = getdents64(directory, buffer, sizeof buffer)) != 0;) {
    if (size < 0) return false;
    for (ssize_t at = 0; at < size; at += ((struct dirent64*)(buffer + at))->d_reclen) {
      const char* const name = ((struct dirent64*)(buffer + at))->d_name;
      if (isdigit((unsigned char)name[0])) visit(atoi(name), context);
    }
  }
  return true;
}

static bool each_in_another(const char* path, void (*visit)(int number, void* context), void* context) {
  const int directory = open_directory(path);
  if (directory < 0) return false;
  const bool all = each_number(directory, visit, context);
  libc.close(directory);
  return all;
}

bool proc_self_each_descriptor(void (*visit)(int fd, void* context), void* context) {
  for (int i = 0; i < DIRECTORIES; ++i) {
    if (atomic_flag_test_and_set(&descriptors[i].taken)) continue;
    const bool all =
        lseek(descriptors[i].fd, 0, SEEK_SET) == 0 && each_number(descriptors[i].fd, visit, context);
    atomic_flag_clear(&descriptors[i].taken);
    return all;
  }
  return each_in_another("fd", visit, context);
}

bool proc_self_each_thread(void (*visit)(int thread, void* context), void* context) {
  return each_in_another("task", visit, context);
}

/* ".." of /proc/self is /proc. */
bool proc_self_each_process(void (*visit)(int process, void* context), void* context) {
  return each_in_another("..", visit, context);
}

/* Parses "12 (name) S 1 12 12 …"; the name may contain parentheses and spaces. */
bool proc_self_process_look(pid_t pid, struct self_process* process) {
  char path[32];
  char text[512];
  char state = '\0';
  snprintf(path, sizeof path, "../%d/stat", (int)pid);
  if (proc_self_read(path, text, sizeof text) <= 0) return false;
  const char* const rest = strrchr(text, ')');
  if (rest == NULL ||
      sscanf(rest, ") %c %d %d %d", &state, &process->parent, &process->group, &process->session) != 4)
    return false;
  process->is_over = state == 'Z' || state == 'X';
  return true;
}

struct links {
  int directory;
  void (*visit)(const char* what, void* context);
  void* context;
};

static void read_link(int number, void* context) {
  const struct links* const links = context;
  char name[16];
  char what[64];
  snprintf(name, sizeof name, "%d", number);
  const ssize_t size = readlinkat(links->directory, name, what, sizeof what - 1);
  if (size <= 0) return;
  what[size] = '\0';
  links->visit(what, links->context);
}

bool proc_self_each_descriptor_of(pid_t pid, void (*visit)(const char* what, void* context), void* context) {
  char path[32];
  snprintf(path, sizeof path, "../%d/fd", (int)pid);
  struct links links = {open_directory(path), visit, context};
  if (links.directory < 0) return false;
  const bool all = each_number(links.directory, read_link, &links);
  const int error = errno;
  libc.close(links.directory);
  errno = error;
  return all;
}

bool proc_self_each_line(const char* path, void (*visit)(const char* line, void* context), void* context) {
  char buffer[4096];
  enum { LINE_MAX_SIZE = 1024 };
  size_t kept = 0;
  ssize_t size = 0;
  const int fd = proc_self_open(path);
  if (fd < 0) return false;
  while ((size = read(fd, buffer + kept, sizeof buffer - 1 - kept)) > 0) {
    char* line = buffer;
    buffer[kept + (size_t)size] = '\0';
    for (char* newline; (newline = strchr(line, '\n')) != NULL; line = newline + 1) {
      *newline = '\0';
      visit(line, context);
    }
    kept = strlen(line);
    if (kept > LINE_MAX_SIZE) {
      visit(line, context);
      kept = 0;
    }
    memmove(buffer, line, kept);
  }
  libc.close(fd);
  return size == 0;
}

struct sought {
  const char* name;
  int base;
  bool is_found;
  unsigned long long number;
};

static void find_number(const char* line, void* context) {
  struct sought* const sought = context;
  const size_t size = strlen(sought->name);
  if (strncmp(line, sought->name, size) != 0) return;
  sought->is_found = true;
  sought->number = strtoull(line + size, NULL, sought->base);
}

bool proc_self_number(const char* path, const char* name, int base, unsigned long long* number) {
  struct sought sought = {.name = name, .base = base};
  /* By lines: "Groups:" in front may be very long. */
  if (!proc_self_each_line(path, find_number, &sought) || !sought.is_found) return false;
  *number = sought.number;
  return true;
}

int proc_self_count_threads(void) {
  unsigned long long count = 0;
  return proc_self_number("status", "Threads:", 10, &count) ? (int)count : -1;
}

bool proc_self_status(struct proc_self_status* status) {
  char text[256];
  unsigned long long filter = 0;
  if (proc_self_read("status", text, sizeof text) <= 0) return false;
  status->is_over = strstr(text, "\nState:\tZ") != NULL;
  const bool found = proc_self_number("status", "Seccomp:", 10, &filter) &&
                     proc_self_number("status", "SigBlk:", 16, &status->blocked);
  status->is_filtered = filter != 0;
  return found;
}

/* "7 0x5 0x7f… …": number and arguments of the system call; otherwise "running" or "-1 …". */
long proc_self_call(int thread, unsigned long* first_argument) {
  char path[64];
  char text[256];
  long call = SELF_CALL_NONE;
  snprintf(path, sizeof path, "task/%d/syscall", thread);
  if (proc_self_read(path, text, sizeof text) <= 0)
    return errno == ENOENT || errno == ESRCH ? SELF_CALL_NONE : SELF_CALL_UNKNOWN;
  if (strncmp(text, "running", strlen("running")) == 0) return SELF_CALL_RUNNING;
  return sscanf(text, "%ld %lx", &call, first_argument) == 2 ? call : SELF_CALL_NONE;
}
