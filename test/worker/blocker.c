/*
 * Servers that wait for connections in accept(), by several threads: argv[1] says what else they do, argv[2]
 * is the port, or a path. A connection is answered with "ok" when it has sent a byte, or has ended; what does
 * not go as by itself ends with status 7.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PROGRAM __attribute__((visibility("default")))

enum { THREADS = 3 };

static int listener;
static int epoll = -1;
static bool polled;
static const char* what;
static atomic_int served;
static atomic_int last_error;

static void demand(bool holds, const char* thing) {
  if (holds) return;
  fprintf(stderr, "blocker: %s\n", thing);
  exit(7);
}

static bool is(const char* name) { return strcmp(what, name) == 0; }

static int bind_at(const char* port, int type) {
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)atoi(port))};
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  demand(bind(fd, (const struct sockaddr*)&address, sizeof address) == 0, "bind");
  return fd;
}

static int bind_at_path(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  demand(bind(fd, (const struct sockaddr*)&address, sizeof address) == 0, "bind");
  return fd;
}

static int listen_at(const char* where) {
  const int fd = where[0] == '/' ? bind_at_path(where) : bind_at(where, SOCK_STREAM);
  demand(listen(fd, 100) == 0, "listen");
  return fd;
}

/* Whether these block is nobody else's affair. */
static void wait_for_datagrams(const char* port) {
  struct pollfd wait = {bind_at(port, SOCK_DGRAM), POLLIN, 0};
  struct epoll_event event = {.events = EPOLLIN};
  poll(&wait, 1, 0);
  epoll_ctl(epoll_create1(EPOLL_CLOEXEC), EPOLL_CTL_ADD, wait.fd, &event);
  demand((fcntl(wait.fd, F_GETFL) & O_NONBLOCK) == 0, "it blocks");
}

static void answer(int connection) {
  char byte = 0;
  if (recv(connection, &byte, 1, 0) >= 0 && send(connection, "ok", 2, MSG_NOSIGNAL) < 0) perror("send");
  close(connection);
  ++served;
}

static void block_signals(void) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void limit_waits(int ms) {
  const struct timeval limit = {ms / 1000, ms % 1000 * 1000};
  demand(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
}

static bool ends_listener(void) { return is("shutdown") || is("shutdown-read") || is("close"); }

static void wait_elsewhere(void) {
  struct pollfd wait = {listener, POLLIN, 0};
  struct epoll_event event;
  if (epoll >= 0) epoll_wait(epoll, &event, 1, -1);
  else if (polled) poll(&wait, 1, -1);
}

static void* accept_all(void* nothing) {
  for (;;) {
    wait_elsewhere();
    const int connection = accept(listener, NULL, NULL);
    if (connection >= 0) {
      answer(connection);
    } else {
      last_error = errno;
      if (ends_listener()) return nothing;
      demand(polled && errno == ECONNABORTED, strerror(errno));
    }
    if (is("masked-later")) block_signals();
  }
}

/* Before it accepts by threads. */
static void look_first(void) {
  struct pollfd wait = {listener, POLLIN, 0};
  struct epoll_event event = {.events = EPOLLIN};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(listener, &set);
  if (is("poll")) poll(&wait, 1, -1);
  if (is("select")) select(listener + 1, &set, NULL, NULL, NULL);
  if (is("epoll")) epoll = epoll_create1(EPOLL_CLOEXEC);
  if (is("epoll")) epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  polled = is("poll") || is("select") || is("epoll");
}

/* Whether the kernel says so of that thread. */
static bool is_in_accept(pid_t thread) {
  char path[64];
  long call = -1;
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)thread);
  FILE* file = fopen(path, "re");
  if (file == NULL || fscanf(file, "%ld", &call) != 1) call = -1;
  if (file != NULL) fclose(file);
  return call == SYS_accept;
}

static _Atomic pid_t sleeper;

static void* sleep_in_accept(void* nothing) {
  sleeper = gettid();
  return accept_all(nothing);
}

/* What a thread that sleeps in accept() is told when another one ends its listener. */
static _Noreturn void end_under_sleeper(void) {
  pthread_t thread;
  demand(pthread_create(&thread, NULL, sleep_in_accept, NULL) == 0, "thread");
  while (served == 0 || !is_in_accept(sleeper)) poll(NULL, 0, 5);
  demand((is("close") ? close(listener) : shutdown(listener, is("shutdown") ? SHUT_RDWR : SHUT_RD)) == 0,
         what);
  pthread_join(thread, NULL);
  demand(last_error == (is("close") ? EBADF : EINVAL), strerror(last_error));
  exit(0);
}

/* The limit is set when a thread has accepted already. */
static _Noreturn void let_limit_pass(void) {
  answer(accept(listener, NULL, NULL));
  limit_waits(30);
  demand(accept(listener, NULL, NULL) == -1 && errno == EAGAIN, "a limit passes");
  exit(0);
}

PROGRAM int main(int argc, char** argv) {
  pthread_t thread;
  demand(argc > 2, "what, and where");
  what = argv[1];
  if (is("datagrams")) wait_for_datagrams(argv[2]);
  listener = listen_at(argv[2]);
  if (ends_listener()) end_under_sleeper();
  if (is("limit-passes")) let_limit_pass();
  if (is("masked")) block_signals();
  if (is("limit")) limit_waits(100 * 1000);
  look_first();
  for (int i = 0; i < THREADS; ++i) demand(pthread_create(&thread, NULL, accept_all, NULL) == 0, "thread");
  for (;;) pause();
}
