#include "replace_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "epoll_lock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"

struct registration {
  int epoll;
  int fd;
  struct epoll_event event;
};

/* In `search.fd`: all descriptors with FLAG_HANDOFF. */
enum { ALL_HANDOFFS = -1 };

struct search {
  int fd;
  int epoll; /* that is being read */
  int count;
  int limit;
  bool is_partial; /* too many registrations, or no free descriptor to read them */
  struct registration* found;
};

static bool is_wanted(const struct search* search, int fd) {
  return search->fd == ALL_HANDOFFS ? (fd_flags(fd) & FLAG_HANDOFF) != 0 : fd == search->fd;
}

/* A line of fdinfo: "tfd: 5 events: 19 data: 5 pos:0 ino:… sdev:…", hexadecimal but for tfd. */
static void note_registration(const char* line, void* context) {
  struct search* search = context;
  int fd = -1;
  unsigned events = 0;
  unsigned long long data = 0;
  if (sscanf(line, "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3) return;
  if (!is_wanted(search, fd)) return;
  if (search->count == search->limit) {
    search->is_partial = true;
    return;
  }
  search->found[search->count++] =
      (struct registration){search->epoll, fd, {.events = events, .data.u64 = data}};
}

static bool is_epoll(int fd) { return proc_self_descriptor_is(fd, "anon_inode:[eventpoll]"); }

static void find_in(int fd, void* context) {
  struct search* search = context;
  char path[32];
  if (!is_epoll(fd)) return;
  snprintf(path, sizeof path, "fdinfo/%d", fd);
  search->epoll = fd;
  /* ENOENT: closed meanwhile. */
  if (!proc_self_each_line(path, note_registration, search) && errno != ENOENT) search->is_partial = true;
}

/* False, with errno: some may be missing. */
static bool find_registrations(struct search* search) {
  if (!proc_self_each_descriptor(find_in, search)) search->is_partial = true;
  if (search->is_partial) errno = EMFILE;
  return !search->is_partial;
}

static void remove_all(const struct search* search, int fd) {
  for (int i = 0; i < search->count; ++i) {
    struct registration* each = &search->found[i];
    /* put_back() must add only what was really registered. */
    if (each->fd == fd && libc.epoll_ctl(each->epoll, EPOLL_CTL_DEL, fd, NULL) != 0) each->epoll = -1;
  }
}

static void put_back(const struct search* search, int fd) {
  for (int i = 0; i < search->count; ++i) {
    struct registration* each = &search->found[i];
    if (each->fd == fd && each->epoll >= 0) libc.epoll_ctl(each->epoll, EPOLL_CTL_ADD, fd, &each->event);
  }
}

static bool replace(const struct search* search, int fd, uint64_t cookie, int by) {
  /* The application may have closed and reused the number before the lock was taken. While the lock is held
   * it cannot. */
  if (!socket_is(fd, cookie)) {
    errno = EBADF;
    return false;
  }
  const int close_on_exec = (libc.fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0;
  int done = 0;
  remove_all(search, fd);
  /* EBUSY: another thread is opening this number. */
  do {
    done = libc.dup3(by, fd, close_on_exec);
  } while (done < 0 && (errno == EBUSY || errno == EINTR));
  const int error = errno;
  put_back(search, fd);
  errno = error;
  return done >= 0;
}

bool replace_fd(int fd, uint64_t cookie, int by) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {.fd = fd, .limit = REGISTRATIONS_MAX, .found = found};
  epoll_lock_begin();
  const bool done = find_registrations(&search) && replace(&search, fd, cookie, by);
  const int error = errno;
  epoll_lock_end();
  errno = error;
  return done;
}

/* Used by the control thread only. */
static struct registration learnt_ones[LEARNT_MAX];
static struct search learnt;

bool replace_fd_learn(void) {
  epoll_lock_begin();
  learnt = (struct search){.fd = ALL_HANDOFFS, .limit = LEARNT_MAX, .found = learnt_ones};
  return find_registrations(&learnt);
}

bool replace_fd_learnt(int fd, uint64_t cookie, int by) { return replace(&learnt, fd, cookie, by); }

void replace_fd_forget_learnt(void) { epoll_lock_end(); }

void replace_fd_forget(int fd) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {.fd = fd, .limit = REGISTRATIONS_MAX, .found = found};
  epoll_lock_begin();
  find_registrations(&search);
  remove_all(&search, fd);
  epoll_lock_end();
}

bool replace_fd_add_beside(int fd, int other) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {.fd = fd, .limit = REGISTRATIONS_MAX, .found = found};
  epoll_lock_begin();
  find_registrations(&search);
  for (int i = 0; i < search.count; ++i)
    libc.epoll_ctl(found[i].epoll, EPOLL_CTL_ADD, other, &found[i].event);
  epoll_lock_end();
  return search.count > 0;
}

bool replace_fd_is_registered(int fd) {
  struct registration found[REGISTRATIONS_MAX];
  struct search search = {.fd = fd, .limit = REGISTRATIONS_MAX, .found = found};
  find_registrations(&search);
  return search.count > 0;
}
