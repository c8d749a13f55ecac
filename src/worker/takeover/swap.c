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
#include "real.h"

struct registration {
  int epoll;
  struct epoll_event event;
};

struct search {
  int fd;
  int count;
  struct registration found[REGISTRATIONS_MAX];
};

/* A line of fdinfo: "tfd:        5 events:       19 data:                5  pos:0 ino:… sdev:…", numbers but
 * tfd in hex. */
static void note_registration(struct search* search, int epoll, const char* line) {
  int fd = -1;
  unsigned events = 0;
  unsigned long long data = 0;
  if (sscanf(line, "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3) return;
  if (fd != search->fd || search->count == REGISTRATIONS_MAX) return;
  search->found[search->count++] = (struct registration){epoll, {.events = events, .data.u64 = data}};
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

static void remove_all(struct search* search) {
  for (int i = 0; i < search->count; ++i) {
    /* Only what was really there is put back. */
    if (real.epoll_ctl(search->found[i].epoll, EPOLL_CTL_DEL, search->fd, NULL) != 0) search->found[i].epoll = -1;
  }
}

static void put_back(struct search* search) {
  for (int i = 0; i < search->count; ++i) {
    if (search->found[i].epoll < 0) continue;
    real.epoll_ctl(search->found[i].epoll, EPOLL_CTL_ADD, search->fd, &search->found[i].event);
  }
}

bool swap_descriptor(int fd, int by, bool close_on_exec) {
  struct search search = {.fd = fd};
  calls_stop_registering();
  descriptors_each(find_registrations, &search);
  remove_all(&search);
  int done = 0;
  /* EBUSY: another thread is just opening that number. */
  do {
    done = real.dup3(by, fd, close_on_exec ? O_CLOEXEC : 0);
  } while (done < 0 && (errno == EBUSY || errno == EINTR));
  const int error = errno;
  put_back(&search);
  calls_go_on_registering();
  errno = error;
  return done >= 0;
}

void swap_forget(int fd) {
  struct search search = {.fd = fd};
  calls_stop_registering();
  descriptors_each(find_registrations, &search);
  remove_all(&search);
  calls_go_on_registering();
}

bool swap_is_registered(int fd) {
  struct search search = {.fd = fd};
  descriptors_each(find_registrations, &search);
  return search.count > 0;
}
