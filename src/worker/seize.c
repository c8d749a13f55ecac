#include "seize.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "descriptors.h"
#include "listeners.h"

/* Registrations of listeners that are moved; an application with more keeps the rest, and the master's
 * SIGTERM. */
enum { REGISTRATIONS_MAX = 1024, HELD_MAX = 1024 };

struct registration {
  int epoll;
  int fd;
  struct epoll_event event;
};

struct held {
  int fd;
  int type;
};

/* Used by the control thread only. */
static struct registration registrations[REGISTRATIONS_MAX];
static int registration_count;
static struct held held[HELD_MAX];
static int held_count;

static void find_held(int fd, void* context) {
  (void)context;
  int type = 0;
  if (held_count < HELD_MAX && listeners_own(fd, &type)) held[held_count++] = (struct held){fd, type};
}

static bool is_held(int fd) {
  for (int i = 0; i < held_count; ++i) {
    if (held[i].fd == fd) return true;
  }
  return false;
}

/* A line of fdinfo: "tfd:        5 events:       19 data:                5  pos:0 ino:… sdev:…", numbers but
 * tfd in hex. */
static void note_registration(int epoll, const char* line) {
  int fd = -1;
  unsigned events = 0;
  unsigned long long data = 0;
  if (sscanf(line, "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3) return;
  if (!is_held(fd) || registration_count == REGISTRATIONS_MAX) return;
  registrations[registration_count++] =
      (struct registration){epoll, fd, {.events = events, .data.u64 = data}};
}

static void read_registrations(int epoll, int info) {
  char buffer[4096];
  size_t kept = 0;
  for (;;) {
    const ssize_t size = read(info, buffer + kept, sizeof buffer - 1 - kept);
    if (size <= 0) return;
    buffer[kept + (size_t)size] = '\0';
    char* line = buffer;
    for (char* newline; (newline = strchr(line, '\n')) != NULL; line = newline + 1) {
      *newline = '\0';
      note_registration(epoll, line);
    }
    kept = strlen(line);
    memmove(buffer, line, kept);
  }
}

static void find_registrations(int fd, void* context) {
  (void)context;
  char path[64];
  char kind[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(path, kind, sizeof kind - 1);
  if (size <= 0) return;
  kind[size] = '\0';
  if (strcmp(kind, "anon_inode:[eventpoll]") != 0) return;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  const int info = open(path, O_RDONLY | O_CLOEXEC);
  if (info < 0) return;
  read_registrations(fd, info);
  close(info);
}

/* A path that is gone before the socket listens cannot be connected to; an abstract name could be guessed. */
static bool bind_nowhere(int fd) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/tmp/.liveswap-stand-in-%d", (int)getpid());
  if (bind(fd, (struct sockaddr*)&address, sizeof address) == 0) return unlink(address.sun_path) == 0;
  return bind(fd, (struct sockaddr*)&address, sizeof address.sun_family) == 0;
}

static int make_stand_in(int type) {
  const int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || type == SOCK_DGRAM) return fd;
  if (bind_nowhere(fd) && listen(fd, 1) == 0) return fd;
  close(fd);
  return -1;
}

/*
 * An epoll knows a socket by descriptor and open file. The master keeps the file alive, so without DEL the
 * old registration would stay and fire for ever; ADD only what was really there.
 */
static void replace(const struct held* taken) {
  const int stand_in = make_stand_in(taken->type);
  if (stand_in < 0) return;
  bool registered[REGISTRATIONS_MAX] = {false};
  for (int i = 0; i < registration_count; ++i) {
    if (registrations[i].fd != taken->fd) continue;
    registered[i] = epoll_ctl(registrations[i].epoll, EPOLL_CTL_DEL, taken->fd, NULL) == 0;
  }
  dup3(stand_in, taken->fd, O_CLOEXEC);
  close(stand_in);
  for (int i = 0; i < registration_count; ++i) {
    if (registered[i]) epoll_ctl(registrations[i].epoll, EPOLL_CTL_ADD, taken->fd, &registrations[i].event);
  }
}

void seize_listeners(void) {
  held_count = 0;
  registration_count = 0;
  descriptors_each(find_held, NULL);
  descriptors_each(find_registrations, NULL);
  for (int i = 0; i < held_count; ++i) replace(&held[i]);
}
