/*
 * Servers that wait for connections in accept(), by several threads: argv[1] says what else they do, argv[2] is the port. A
 * connection is answered with "ok" when it has sent a byte, or has ended; what does not go as by itself ends with status 7.
 */
#include <arpa/inet.h>
#include <errno.h>
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
#include <unistd.h>

#define PROGRAM __attribute__((visibility("default")))

enum { THREADS = 3 };

static int listener;
static const char* what;
static atomic_int served;
static atomic_int last_error;

static void demand(bool holds, const char* thing) {
  if (holds) return;
  fprintf(stderr, "blocker: %s\n", thing);
  exit(7);
}

static bool is(const char* name) { return strcmp(what, name) == 0; }

static int listen_at(const char* port) {
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)atoi(port))};
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  demand(bind(fd, (const struct sockaddr*)&address, sizeof address) == 0 && listen(fd, 100) == 0, "listen");
  return fd;
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

static void* accept_all(void* nothing) {
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    if (connection >= 0) {
      answer(connection);
    } else {
      last_error = errno;
      if (is("shutdown") || is("close")) return nothing;
    }
    if (is("masked-later")) block_signals();
  }
}

/* Before it accepts by threads. */
static void look_first(void) {
  struct pollfd polled = {listener, POLLIN, 0};
  struct epoll_event event = {.events = EPOLLIN};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(listener, &set);
  if (is("poll")) poll(&polled, 1, -1);
  if (is("select")) select(listener + 1, &set, NULL, NULL, NULL);
  if (is("epoll")) epoll_ctl(epoll_create1(EPOLL_CLOEXEC), EPOLL_CTL_ADD, listener, &event);
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

static pid_t sleeper;

static void* sleep_in_accept(void* nothing) {
  sleeper = gettid();
  return accept_all(nothing);
}

/* What a thread that sleeps in accept() is told when another one ends its listener. */
static _Noreturn void end_under_sleeper(void) {
  pthread_t thread;
  const bool shuts = is("shutdown");
  demand(pthread_create(&thread, NULL, sleep_in_accept, NULL) == 0, "thread");
  while (served == 0 || !is_in_accept(sleeper)) poll(NULL, 0, 5);
  demand((shuts ? shutdown(listener, SHUT_RDWR) : close(listener)) == 0, what);
  pthread_join(thread, NULL);
  demand(last_error == (shuts ? EINVAL : EBADF), strerror(last_error));
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
  demand(argc > 2, "what, and a port");
  what = argv[1];
  listener = listen_at(argv[2]);
  if (is("shutdown") || is("close")) end_under_sleeper();
  if (is("limit-passes")) let_limit_pass();
  if (is("masked")) block_signals();
  if (is("limit")) limit_waits(100 * 1000);
  look_first();
  for (int i = 0; i < THREADS; ++i) demand(pthread_create(&thread, NULL, accept_all, NULL) == 0, "thread");
  for (;;) pause();
}
