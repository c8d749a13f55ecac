#include "swap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "worker/descriptors.h"
#include "calls.h"
#include "marks.h"
#include "real.h"

struct registration {
  int epoll;
  int fd;
  struct epoll_event event;
};

/* Of one descriptor, or of all that bear MARK_MOVED. */
enum { ALL_MOVED = -1 };

struct search {
  int fd;
  int count;
  int limit;
  struct registration* found;
};

static bool is_wanted(const struct search* search, int fd) {
  return search->fd == ALL_MOVED ? (marks_of(fd) & MARK_MOVED) != 0 : fd == search->fd;
}

/* A line of fdinfo: "tfd:        5 events:       19 data:                5  pos:0 ino:… sdev:…", numbers but
 * tfd in hex. */
static void note_registration(struct search* search, int epoll, const char* line) {
  int fd = -1;
  unsigned events = 0;
  unsigned long long data = 0;
  if (sscanf(line, "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3) return;
  if (!is_wanted(search, fd) || search->count == search->limit) return;
  search->found[search->count++] = (struct registration){epoll, fd, {.events = events, .data.u64 = data}};
}

static void read_registrations(struct search* search, int epoll, int info) {
  char buffer[4096];
  size_t kept = 0;
  for (;;) {
    const ssize_t size = read(info, buffer + kept, sizeof buffer - 1 - kept);
    if (size <= 0) return;
    buffer[kept + (size_t)size] = '\0';
    char* line = buffer;
    for (char* newline; (newline = strchr(line, '\n')) != NULL; line = newline + 1) {
      *newline = '\0';
      note_registration(search, epoll, line);
    }
    kept = strlen(line);
    memmove(buffer, line, kept);
  }
}

static void find_registrations(int fd, void* search) {
  char path[64];
  if (!descriptor_is(fd, "anon_inode:[eventpoll]")) return;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  const int info = open(path, O_RDONLY | O_CLOEXEC);
  if (info < 0) return;
  read_registrations(search, fd, info);
  real.close(info);
}

static void remove_all(const struct search* search, int fd) {
  for (int i = 0; i < search->count; ++i) {
    struct registration* each = &search->found[i];
    /* Only what was really there is put back. */
    if (each->fd == fd && real.epoll_ctl(each->epoll, EPOLL_CTL_DEL, fd, NULL) != 0) each->epoll = -1;
  }
}

static void put_back(const struct search* search, int fd) {
  for (int i = 0; i < search->count; ++i) {
    struct registration* each = &search->found[i];
    if (each->fd == fd && each->epoll >= 0) real.epoll_ctl(each->epoll, EPOLL_CTL_ADD, fd, &each->event);
  }
}

static bool replace(const struct search* search, int fd, int by) {
  const int close_on_exec = (real.fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0;
  int done = 0;
  remove_all(search, fd);
  /* EBUSY: another thread is just opening that number. */
  do {
    done = real.dup3(by, fd, close_on_exec);
  } while (done < 0 && (errno == EBUSY || errno == EINTR));
  const int error = errno;
  put_back(search, fd);
  errno = error;
  return done >= 0;
}

bool swap_descriptor(int fd, int by) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {fd, 0, REGISTRATIONS_MAX, found};
  calls_stop_registering();
  descriptors_each(find_registrations, &search);
  const bool done = replace(&search, fd, by);
  const int error = errno;
  calls_go_on_registering();
  errno = error;
  return done;
}

/* Of the control thread, as is what uses it. */
static struct registration learnt_ones[LEARNT_MAX];
static struct search learnt = {ALL_MOVED, 0, LEARNT_MAX, learnt_ones};

bool swap_learn(void) {
  calls_stop_registering();
  learnt.count = 0;
  descriptors_each(find_registrations, &learnt);
  return learnt.count < learnt.limit;
}

bool swap_learnt(int fd, int by) { return replace(&learnt, fd, by); }

void swap_forget_learnt(void) { calls_go_on_registering(); }

void swap_forget(int fd) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {fd, 0, REGISTRATIONS_MAX, found};
  calls_stop_registering();
  descriptors_each(find_registrations, &search);
  remove_all(&search, fd);
  calls_go_on_registering();
}

bool swap_add_beside(int fd, int other) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {fd, 0, REGISTRATIONS_MAX, found};
  calls_stop_registering();
  descriptors_each(find_registrations, &search);
  for (int i = 0; i < search.count; ++i) real.epoll_ctl(found[i].epoll, EPOLL_CTL_ADD, other, &found[i].event);
  calls_go_on_registering();
  return search.count > 0;
}

bool swap_is_registered(int fd) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {fd, 0, REGISTRATIONS_MAX, found};
  descriptors_each(find_registrations, &search);
  return search.count > 0;
}
