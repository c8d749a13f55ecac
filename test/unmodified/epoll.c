/* One thread and epoll, level-triggered or (EDGE) edge-triggered; SIGTERM ends it, as usual for a program. */
#include "http.h"

#include <sys/epoll.h>

#ifdef EDGE
enum { EVENTS = EPOLLIN | EPOLLET };
#else
enum { EVENTS = EPOLLIN };
#endif

static int epoll;

static void on_term(int number) {
  (void)number;
  _exit(0);
}

static void watch(struct client* client) {
  struct epoll_event event = {.events = EVENTS, .data.ptr = client};
  epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event);
}

static void accept_some(const struct client* listener) {
  for (;;) {
    const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    struct client* client = calloc(1, sizeof *client);
    client->fd = fd;
    watch(client);
  }
}

static void serve(struct client* client) {
  const bool edge = (EVENTS & EPOLLET) != 0;
  do {
    if (!serve_once(client)) {
      close(client->fd);
      free(client);
      return;
    }
  } while (edge && errno != EAGAIN);
}

PROGRAM int main(int argc, char** argv) {
  struct client* listeners = calloc((size_t)argc, sizeof *listeners);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  signal(SIGTERM, on_term);
  for (int i = 1; i < argc; ++i) {
    listeners[i].fd = listen_at(argv[i], SOCK_NONBLOCK | SOCK_CLOEXEC);
    watch(&listeners[i]);
  }
  for (;;) {
    struct epoll_event events[64];
    const int count = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      struct client* client = events[i].data.ptr;
      errno = 0;
      if (client >= listeners && client < listeners + argc) accept_some(client);
      else serve(client);
    }
  }
}
