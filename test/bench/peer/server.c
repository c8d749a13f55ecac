/* The small epoll server that test/bench/peers runs in every way: as a program, as a library as it is
 * (--entry main), and (-DCONTRACT) by the plugin contract. All ways share the loop, so that they do the same
 * work for a request.
 *
 *   server PORT WORKERS reuseport|shared     listens by itself; `shared`: all workers accept from one socket
 *   server fd WORKERS                        accepts from the socket that Server::Starter gives
 *
 * `GET /slow` is answered after SLOW_MS. SIGTERM, or the drain that liveswap orders: stop accepting, end the
 * connections at their next answer, and the idle ones at once, like nginx (by the contract as
 * liveswap_close_idle() says). */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef CONTRACT
#include <liveswap_plugin.h>
#endif

enum { BUFFER = 4096, EVENTS = 64, SLOW_MS = 1000, LOOK_EVERY_MS = 20, BACKLOG = 511 };

/* test/bench/peers makes further versions: it replaces these bytes in a copy of the built file. */
__attribute__((visibility("default"))) char bench_version[] = "version-01";

struct client {
  int fd;
  long last_ms, due_ms; /* of the last answer; when the slow answer is due, 0: none */
  struct client *next, **link;
  size_t size;
  char in[BUFFER + 1];
};

static struct client *clients, listener, stopper;
static int epoll, slow_count;
static bool draining;
static char answers[2][256]; /* [1]: says Connection: close */

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

static void make_answers(void) {
  for (int last = 0; last < 2; ++last)
    snprintf(answers[last], sizeof answers[last],
             "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Version: %s\r\n%s\r\n%s\n",
             strlen(bench_version) + 1, bench_version, last ? "Connection: close\r\n" : "", bench_version);
}

static void watch(struct client* client) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event);
}

static void forget(struct client* client) {
  *client->link = client->next;
  if (client->next != NULL) client->next->link = client->link;
  if (client->due_ms != 0) --slow_count;
  free(client);
}

static void accept_all(void) {
  for (int fd; (fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    struct client* client = malloc(sizeof *client);
    *client = (struct client){.fd = fd, .last_ms = now_ms(), .next = clients, .link = &clients};
    if (clients != NULL) clients->link = &client->next;
    clients = client;
    watch(client);
  }
}

/* False: the connection is to end. */
static bool send_answer(struct client* client, bool last) {
  const char* text = answers[last || draining];
  const ssize_t size = (ssize_t)strlen(text);
  client->last_ms = now_ms();
  return send(client->fd, text, (size_t)size, MSG_NOSIGNAL) == size && !last && !draining;
}

static bool serve(struct client* client) {
  const ssize_t size = recv(client->fd, client->in + client->size, BUFFER - client->size, 0);
  if (size < 0) return errno == EAGAIN;
  if (size == 0) return false;
  client->size += (size_t)size;
  client->in[client->size] = '\0';
  if (strstr(client->in, "\r\n\r\n") == NULL) return client->size < BUFFER;
  client->size = 0;
  if (strncmp(client->in, "GET /slow", 9) == 0) {
    client->due_ms = now_ms() + SLOW_MS;
    ++slow_count;
    return true;
  }
  return send_answer(client, strstr(client->in, "Connection: close") != NULL);
}

/* A client that asked for the end sends no more. One that is told of it may have sent its next request. */
static void finish(struct client* client) {
#ifdef CONTRACT
  if (draining) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, client->fd, NULL);
    liveswap_close_lingering(client->fd);
    forget(client);
    return;
  }
#endif
  close(client->fd);
  forget(client);
}

static void end_if_idle(struct client* client) {
  if (client->size > 0 || client->due_ms != 0) return;
#ifdef CONTRACT
  epoll_ctl(epoll, EPOLL_CTL_DEL, client->fd, NULL);
  if (liveswap_close_idle(client->fd, now_ms() - client->last_ms) == 0) forget(client);
  else watch(client);
#else
  finish(client);
#endif
}

static void look_at_all(void) {
  for (struct client *client = clients, *next; client != NULL; client = next) {
    next = client->next;
    if (client->due_ms != 0 && now_ms() >= client->due_ms) {
      client->due_ms = 0;
      --slow_count;
      if (!send_answer(client, false)) finish(client);
    } else if (draining) {
      end_if_idle(client);
    }
  }
}

static void drain(void) {
  draining = true;
  epoll_ctl(epoll, EPOLL_CTL_DEL, stopper.fd, NULL);
  epoll_ctl(epoll, EPOLL_CTL_DEL, listener.fd, NULL);
#ifndef CONTRACT
  accept_all(); /* those who wait in the queue would be reset */
  close(listener.fd);
#endif
}

static void run(int listener_fd, int stop_fd) {
  listener.fd = listener_fd;
  stopper.fd = stop_fd;
  epoll = epoll_create1(EPOLL_CLOEXEC);
  make_answers();
  watch(&listener);
  watch(&stopper);
  while (!draining || clients != NULL) {
    struct epoll_event events[EVENTS];
    const bool looks = draining || slow_count > 0;
    const int count = epoll_wait(epoll, events, EVENTS, looks ? LOOK_EVERY_MS : -1);
    for (int i = 0; i < count; ++i) {
      struct client* client = events[i].data.ptr;
      if (client == &listener) accept_all();
      else if (client == &stopper) drain();
      else if (!serve(client)) finish(client);
    }
    if (looks || draining) look_at_all();
  }
}

#ifdef CONTRACT
int liveswap_main(int fd) {
  liveswap_ready();
  run(fd, liveswap_drain_fd());
  return 0;
}
#else

static int stop_fd;

static void on_term(int number) {
  (void)number;
  eventfd_write(stop_fd, 1);
}

static int listen_at(const char* port, bool reuseport) {
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  const int on = 1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuseport) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bind(fd, (const struct sockaddr*)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0) {
    perror(port);
    exit(1);
  }
  return fd;
}

/* SERVER_STARTER_PORT is "HOST:PORT=FD". */
static int given_listener(void) {
  const char* text = getenv("SERVER_STARTER_PORT");
  const char* equals = text == NULL ? NULL : strrchr(text, '=');
  if (equals == NULL) {
    fputs("server: SERVER_STARTER_PORT names no descriptor\n", stderr);
    exit(1);
  }
  const int fd = atoi(equals + 1);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

static void work(int listener_fd) {
  stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action = {.sa_handler = on_term, .sa_flags = SA_RESTART};
  sigaction(SIGTERM, &action, NULL);
  run(listener_fd, stop_fd);
}

static pid_t children[64];

static void pass_on(int number) {
  for (int i = 0; i < 64; ++i)
    if (children[i] > 0) kill(children[i], number);
}

static void have_children_work(const int* listeners, int count) {
  const pid_t parent = getpid();
  for (int i = 0; i < count; ++i) {
    children[i] = fork();
    if (children[i] != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    work(listeners[i]);
    _exit(0);
  }
  /* A closed listener of SO_REUSEPORT gets no connections only if nobody else has it open. */
  for (int i = 0; i < count; ++i) close(listeners[i]);
  struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
  sigaction(SIGTERM, &action, NULL);
  puts("ready");
  fflush(stdout);
  while (wait(NULL) > 0 || errno == EINTR) {
  }
}

__attribute__((visibility("default"))) int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int count = atoi(argv[2]);
  int listeners[64];
  const bool given = strcmp(argv[1], "fd") == 0;
  const bool reuseport = argc > 3 && strcmp(argv[3], "reuseport") == 0;
  if (count < 1 || count > 64) return 2;
  for (int i = 0; i < count; ++i)
    listeners[i] = i > 0 && !reuseport ? listeners[0]
                   : given ? given_listener()
                           : listen_at(argv[1], reuseport);
  if (count == 1) work(listeners[0]);
  else have_children_work(listeners, count);
  return 0;
}
#endif
