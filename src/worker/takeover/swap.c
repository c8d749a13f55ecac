#include "swap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "calls.h"
#include "marks.h"
#include "real.h"
#include "worker/listeners.h"
#include "worker/self.h"

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
  bool is_partial; /* too many, or no descriptor left to look with */
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
  if (!is_wanted(search, fd)) return;
  if (search->count == search->limit) {
    search->is_partial = true;
    return;
  }
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

static bool is_epoll(int fd) { return self_descriptor_is(fd, "anon_inode:[eventpoll]"); }

static void find_in(int fd, void* context) {
  struct search* search = context;
  char path[32];
  if (!is_epoll(fd)) return;
  snprintf(path, sizeof path, "fdinfo/%d", fd);
  const int info = self_open(path);
  if (info >= 0) {
    read_registrations(search, fd, info);
    real.close(info);
  } else if (errno != ENOENT) {
    search->is_partial = true; /* it has not just been closed */
  }
}

/* False, with errno: not all of them. */
static bool find_registrations(struct search* search) {
  if (!self_each_descriptor(find_in, search)) search->is_partial = true;
  if (search->is_partial) errno = EMFILE;
  return !search->is_partial;
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

/* The application may have closed the number, and used it again: nothing else can now. */
static bool is_still(int fd, uint64_t cookie) {
  uint64_t now = 0;
  if (socket_cookie(fd, &now) && now == cookie) return true;
  errno = EBADF;
  return false;
}

static bool replace(const struct search* search, int fd, uint64_t cookie, int by) {
  if (!is_still(fd, cookie)) return false;
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

bool swap_descriptor(int fd, uint64_t cookie, int by) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {.fd = fd, .limit = REGISTRATIONS_MAX, .found = found};
  calls_stop_registering();
  const bool done = find_registrations(&search) && replace(&search, fd, cookie, by);
  const int error = errno;
  calls_go_on_registering();
  errno = error;
  return done;
}

/* Of the control thread, as is what uses it. */
static struct registration learnt_ones[LEARNT_MAX];
static struct search learnt;

bool swap_learn(void) {
  calls_stop_registering();
  learnt = (struct search){.fd = ALL_MOVED, .limit = LEARNT_MAX, .found = learnt_ones};
  return find_registrations(&learnt);
}

bool swap_learnt(int fd, uint64_t cookie, int by) { return replace(&learnt, fd, cookie, by); }

void swap_forget_learnt(void) { calls_go_on_registering(); }

void swap_forget(int fd) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {.fd = fd, .limit = REGISTRATIONS_MAX, .found = found};
  calls_stop_registering();
  find_registrations(&search);
  remove_all(&search, fd);
  calls_go_on_registering();
}

bool swap_add_beside(int fd, int other) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {.fd = fd, .limit = REGISTRATIONS_MAX, .found = found};
  calls_stop_registering();
  find_registrations(&search);
  for (int i = 0; i < search.count; ++i)
    real.epoll_ctl(found[i].epoll, EPOLL_CTL_ADD, other, &found[i].event);
  calls_go_on_registering();
  return search.count > 0;
}

bool swap_is_registered(int fd) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {.fd = fd, .limit = REGISTRATIONS_MAX, .found = found};
  find_registrations(&search);
  return search.count > 0;
}
