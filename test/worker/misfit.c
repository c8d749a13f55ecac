/*
 * Programs that liveswap has to refuse, or to leave alone: argv[1] says which. Those that serve answer a
 * connection with "ok". argv[2] is a port for those that bind it themselves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include "raw_call.h"

#define PROGRAM __attribute__((visibility("default")))

static struct sockaddr_in address_of(const char* port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)atoi(port))};
}

static int listen_at(const char* port) {
  const struct sockaddr_in address = address_of(port);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (const struct sockaddr*)&address, sizeof address) != 0 || listen(fd, 100) != 0) {
    perror("listen");
    exit(7);
  }
  return fd;
}

static int raw_listen_at(const char* port) {
  struct sockaddr_in address = address_of(port);
  const int fd = (int)raw_call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0);
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  long done = raw_call(SYS_bind, fd, (long)&address, sizeof address, 0);
  if (done == 0) done = raw_call(SYS_listen, fd, 100, 0, 0);
  if (done != 0) {
    fprintf(stderr, "listen: %s\n", strerror((int)-done));
    exit(7);
  }
  return fd;
}

static void answer(int connection) {
  if (connection < 0) return;
  if (send(connection, "ok", 2, MSG_NOSIGNAL) < 0) perror("send");
  close(connection);
}

static _Noreturn void serve(int listener) {
  for (;;) answer(accept(listener, NULL, NULL));
}

static void demand(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "misfit: %s\n", what);
  exit(7);
}

/* Of a wait whose time has no limit, in an application that handles no signal. */
static bool has_waited(int events) {
  demand(events >= 0 || errno != EINTR, "a wait was interrupted");
  demand(events != 0, "a wait without a limit ended without an event");
  return events > 0;
}

static _Noreturn void serve_polling(int listener) {
  for (;;) {
    struct pollfd wait[2] = {{listener, POLLIN, 0}, {-1, POLLOUT, 0}};
    if (!has_waited(poll(wait, 1, -1)) || (wait[1].fd = accept(listener, NULL, NULL)) < 0) continue;
    if (has_waited(poll(wait, 2, -1))) answer(wait[1].fd);
  }
}

static _Noreturn void serve_selecting(int listener) {
  for (;;) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(listener, &in);
    if (!has_waited(select(listener + 1, &in, NULL, NULL, NULL))) continue;
    const int connection = accept(listener, NULL, NULL);
    if (connection < 0) continue;
    fd_set out;
    FD_ZERO(&out);
    FD_SET(connection, &out);
    if (has_waited(select(connection + 1, NULL, &out, NULL, NULL))) answer(connection);
  }
}

static int epoll_of(int listener) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  return epoll;
}

/* The next connection that is ready for these events. */
static int next_by_epoll(int epoll, int listener, unsigned events) {
  for (;;) {
    struct epoll_event event;
    if (!has_waited(epoll_wait(epoll, &event, 1, -1))) continue;
    if (event.data.fd != listener) return event.data.fd;
    const int connection = accept(listener, NULL, NULL);
    event = (struct epoll_event){.events = events, .data.fd = connection};
    if (connection >= 0) epoll_ctl(epoll, EPOLL_CTL_ADD, connection, &event);
  }
}

static _Noreturn void serve_epoll(int listener) {
  for (const int epoll = epoll_of(listener);;) answer(next_by_epoll(epoll, listener, EPOLLOUT));
}

static _Noreturn void prefork(const char* port, void (*serve_by)(int)) {
  const int listener = listen_at(port);
  for (int i = 0; i < 3; ++i)
    if (fork() == 0) serve_by(listener);
  for (;;) pause();
}

static void forked_for_each(int listener) {
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    if (fork() == 0) {
      close(listener);
      answer(connection);
      _exit(0);
    }
    close(connection);
  }
}

/* What an application does before it runs a CGI program: standard streams in place, all else closed. */
static void run_program(void) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    for (int fd = 3; fd < 256; ++fd) close(fd);
    closefrom(3);
    execl("/bin/true", "true", (char*)NULL);
    _exit(99);
  }
  int status = -1;
  waitpid(child, &status, 0);
  FILE* pipe = popen("true", "r");
  if (status != 0 || system("true") != 0 || pipe == NULL || pclose(pipe) != 0) exit(7);
}

/* Helpers that serve nobody: the listener closed, shut down or ignored. */
static void fork_helper(int listener) {
  const pid_t child = fork();
  if (child == 0) {
    shutdown(listener, SHUT_RDWR);
    close(listener);
    poll(NULL, 0, 1);
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

static void into_background(void) {
  if (fork() != 0) exit(0);
  setsid();
}

/* The parent waits for the first child, which has left at once. */
static void into_background_twice(void) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    return;
  }
  waitpid(child, NULL, 0);
  _exit(0);
}

/* The parent leaves when the child says that it serves. */
static void serve_in_background(const char* port) {
  int ends[2];
  char byte = 0;
  if (pipe(ends) != 0) exit(7);
  if (fork() != 0) exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
  setsid();
  const int listener = listen_at(port);
  if (write(ends[1], &byte, 1) != 1) _exit(7);
  serve(listener);
}

static void serve_raw(const char* port) {
  const int listener = raw_listen_at(port);
  for (;;) {
    const long connection = raw_call(SYS_accept4, listener, 0, 0, SOCK_CLOEXEC);
    if (connection >= 0) {
      answer((int)connection);
      continue;
    }
    /* As Go does it: held listeners do not block. */
    struct epoll_event event = {.events = EPOLLIN};
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    raw_call(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, listener, (long)&event);
    epoll_wait(epoll, &event, 1, -1);
    close(epoll);
  }
}

/* Listeners that are nobody's business: without a name, to any address, seen and passed on. */
static void listen_privately(void) {
  const struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
  const int first = socket(AF_UNIX, SOCK_STREAM, 0);
  const int second = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(first, (const struct sockaddr*)&unnamed, sizeof unnamed.sun_family) != 0 || listen(first, 1) != 0)
    exit(7);
  if (listen(second, 1) != 0) exit(7);
}

static bool is_nonblocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

static void demand_empty(int listener) {
  demand(accept(listener, NULL, NULL) == -1 && errno == EAGAIN, "accept() without a connection");
}

/* What would hurt who else has the listener; seen from here it has the effect that the caller means. */
static void hurt_listener(int listener) {
  int on = 1, off = 0;
  demand(!is_nonblocking(listener), "non-blocking from the start");
  demand(fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) == 0 && is_nonblocking(listener),
         "F_SETFL on");
  demand_empty(listener);
  demand(fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) & ~O_NONBLOCK) == 0 && !is_nonblocking(listener),
         "F_SETFL off");
  demand(ioctl(listener, FIONBIO, &on) == 0 && is_nonblocking(listener), "FIONBIO on");
  demand_empty(listener);
  demand(ioctl(listener, FIONBIO, &off) == 0 && !is_nonblocking(listener), "FIONBIO off");
  /* Last: it says that the others are over. */
  demand(listen(listener, 1) == 0, "listen()");
}

static void end_listener(int listener) {
  demand(shutdown(listener, SHUT_RDWR) == 0, "shutdown()");
  demand(close(listener) == 0 && fcntl(listener, F_GETFD) == -1, "close()");
  for (;;) pause();
}

/* What libc lets pass, and what it does not. */
static void wait_by_select(void) {
  struct timeval second = {0, 1000000}, negative = {0, -1};
  demand(select(0, NULL, NULL, NULL, &second) == 0, "select() for a million microseconds");
  demand(select(0, NULL, NULL, NULL, &negative) == -1 && errno == EINVAL, "select() for less than nothing");
  /* A set of one word, with something behind it. */
  fd_mask words[2] = {1, 0x5a5a};
  struct timeval none = {0};
  demand(select(1, (fd_set*)words, NULL, NULL, &none) >= 0 && words[1] == 0x5a5a,
         "select() with a short set");
}

static void wait_for(const char* file) {
  while (access(file, F_OK) != 0) poll(NULL, 0, 5);
}

static void* sleep_for_ever(void* nothing) {
  while (pause() < 0) continue;
  return nothing;
}

static void have_another_thread(void) {
  pthread_t thread;
  demand(pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0, "another thread");
}

/* Poll, accept, and then read from it until it ends. */
static _Noreturn void serve_in_turn(int listener) {
  struct pollfd wait = {listener, POLLIN, 0};
  for (char byte = 0;;) {
    if (poll(&wait, 1, -1) <= 0) continue;
    const int connection = accept(listener, NULL, NULL);
    if (connection < 0) continue;
    if (send(connection, "ok", 2, MSG_NOSIGNAL) < 0) perror("send");
    while (recv(connection, &byte, 1, 0) > 0) continue;
    close(connection);
  }
}

static void block_signals(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
}

/* As many do that take nothing over from who has started them. */
static void reset_signals(void) {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
}

static struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
static const struct sock_fprog allow_all = {1, &allow};

static void allow_filters(void) { demand(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges"); }

static void install_filter(void) {
  allow_filters();
  demand(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &allow_all) == 0, "filter");
}

static int sleep_too(void* nothing) { return sleep_for_ever(nothing) != NULL; }

static void fork_sleeper(int unused) {
  (void)unused;
  if (fork() != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  closefrom(3);
  sleep_for_ever(NULL);
}

static void ignore(int unused) { (void)unused; }

static void block_urgent(void) {
  sigset_t urgent;
  sigemptyset(&urgent);
  sigaddset(&urgent, SIGURG);
  demand(sigprocmask(SIG_BLOCK, &urgent, NULL) == 0, "sigprocmask");
}

/* What a server of one thread can do after which it is not reached any more, or not for a while. */
static void change(const char* how, int connection) {
  struct io_uring_params ring = {0};
  thrd_t thread;
  char byte = 0;
  if (strcmp(how, "recv") == 0) demand(recv(connection, &byte, 1, 0) == 1, how);
  if (strcmp(how, "mask") == 0) block_urgent();
  if (strcmp(how, "handler") == 0) demand(signal(SIGURG, ignore) != SIG_ERR, how);
  for (volatile bool hangs = strcmp(how, "hang") == 0 && send(connection, "x", 1, 0) == 1; hangs;) continue;
  if (strcmp(how, "thrd") == 0) demand(thrd_create(&thread, sleep_too, NULL) == thrd_success, "thrd_create");
  if (strcmp(how, "ring") == 0) demand(syscall(SYS_io_uring_setup, 4, &ring) >= 0, "io_uring");
  if (strcmp(how, "seccomp") == 0 || strcmp(how, "prctl") == 0) allow_filters();
  if (strcmp(how, "seccomp") == 0)
    demand(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &allow_all) == 0, how);
  if (strcmp(how, "prctl") == 0)
    demand(syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &allow_all) == 0, how);
  if (strcmp(how, "fork") == 0) fork_sleeper(0);
  if (strcmp(how, "fork in a handler") == 0)
    demand(signal(SIGUSR1, fork_sleeper) != SIG_ERR && raise(SIGUSR1) == 0, how);
}

/* After its second connection: with the first it has been seen to be an event loop. */
static _Noreturn void serve_and_change(int listener, const char* how) {
  const int epoll = epoll_of(listener);
  for (int i = 0;; ++i) {
    const int connection = next_by_epoll(epoll, listener, EPOLLOUT);
    if (i == 1) change(how, connection);
    answer(connection);
  }
}

/* Waits for a connection by that call, a minute at the most. */
static int wait_by(const char* how, int listener, int epoll) {
  struct pollfd wait = {listener, POLLIN, 0};
  struct epoll_event event;
  struct timeval limit = {60, 0};
  const struct timespec minute = {60, 0};
  sigset_t none;
  fd_set in;
  sigemptyset(&none);
  FD_ZERO(&in);
  FD_SET(listener, &in);
  if (strcmp(how, "poll") == 0) return poll(&wait, 1, 60000);
  if (strcmp(how, "ppoll") == 0) return ppoll(&wait, 1, &minute, &none);
  if (strcmp(how, "select") == 0) return select(listener + 1, &in, NULL, NULL, &limit);
  if (strcmp(how, "pselect") == 0) return pselect(listener + 1, &in, NULL, NULL, &minute, &none);
  if (strcmp(how, "epoll_wait") == 0) return epoll_wait(epoll, &event, 1, 60000);
  if (strcmp(how, "epoll_pwait") == 0) return epoll_pwait(epoll, &event, 1, 60000, &none);
  return epoll_pwait2(epoll, &event, 1, &minute, &none);
}

static _Noreturn void serve_waiting_by(int listener, const char* how) {
  for (const int epoll = epoll_of(listener);;) {
    if (!has_waited(wait_by(how, listener, epoll))) continue;
    struct pollfd wait = {accept(listener, NULL, NULL), POLLOUT, 0};
    if (wait.fd >= 0 && has_waited(poll(&wait, 1, -1))) answer(wait.fd);
  }
}

/* Waits for connections in accept(), and for what it has accepted in poll(). */
static _Noreturn void serve_in_accept(int listener) {
  for (;;) {
    struct pollfd wait = {accept(listener, NULL, NULL), POLLOUT, 0};
    demand(wait.fd >= 0 || errno != EINTR, "accept() was interrupted");
    if (wait.fd >= 0 && has_waited(poll(&wait, 1, -1))) answer(wait.fd);
  }
}

static void limit_accept(int listener) {
  const struct timeval minute = {60, 0};
  demand(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute) == 0, "SO_RCVTIMEO");
}

/* After its first connection. */
static _Noreturn void serve_elsewhere(int listener, const char* port) {
  const int connection = next_by_epoll(epoll_of(listener), listener, EPOLLIN);
  char byte = 0;
  demand(recv(connection, &byte, 1, 0) == 1, "a byte");
  answer(connection);
  serve_epoll(listen_at(port));
}

PROGRAM int main(int argc, char** argv) {
  const char* const what = argv[1];
  const char* const port = argc > 2 ? argv[2] : "0";
  if (strcmp(what, "prefork-accept") == 0) prefork(port, serve);
  if (strcmp(what, "prefork-poll") == 0) prefork(port, serve_polling);
  if (strcmp(what, "prefork-select") == 0) prefork(port, serve_selecting);
  if (strcmp(what, "prefork-epoll") == 0) prefork(port, serve_epoll);
  if (strcmp(what, "daemon") == 0 && daemon(1, 1) != 0) return 7;
  if (strcmp(what, "background") == 0) into_background();
  if (strcmp(what, "background-twice") == 0) into_background_twice();
  if (strcmp(what, "background-serving") == 0) serve_in_background(port);
  if (strcmp(what, "background-return") == 0 && fork() != 0) return 0;
  if (strcmp(what, "raw") == 0) serve_raw(port);
  if (strcmp(what, "fork-each") == 0) forked_for_each(listen_at(port));
  if (strcmp(what, "exit") == 0) exit(atoi(port));
  if (strcmp(what, "programs") == 0) run_program();
  if (strcmp(what, "private") == 0) listen_privately();
  if (strcmp(what, "sleeps") == 0) sleep_for_ever(NULL);
  const int listener = listen_at(port);
  if (strcmp(what, "programs") == 0) run_program();
  if (strcmp(what, "helper") == 0) fork_helper(listener);
  if (strcmp(what, "guards") == 0) {
    hurt_listener(listener);
    answer(accept(listener, NULL, NULL));
    end_listener(listener);
  }
  if (strcmp(what, "select") == 0) {
    answer(accept(listener, NULL, NULL));
    wait_by_select();
    serve(listener);
  }
  if (strcmp(what, "another-thread") == 0) have_another_thread();
  if (strcmp(what, "no-signals") == 0) block_signals();
  if (strcmp(what, "deaf") == 0) reset_signals();
  if (strstr(what, "-later") != NULL) {
    const int epoll = epoll_of(listener);
    if (strcmp(what, "no-signals-later") == 0) block_signals();
    if (strcmp(what, "deaf-later") == 0) reset_signals();
    for (;;) answer(next_by_epoll(epoll, listener, EPOLLOUT));
  }
  if (strcmp(what, "filtered") == 0) install_filter();
  if (strcmp(what, "waits") == 0) serve_waiting_by(listener, argv[3]);
  if (strcmp(what, "in-accept") == 0) serve_in_accept(listener);
  if (strcmp(what, "limited-accept") == 0) {
    limit_accept(listener);
    serve_in_accept(listener);
  }
  if (strcmp(what, "changes") == 0) serve_and_change(listener, argv[3]);
  if (strcmp(what, "in-turn") == 0) serve_in_turn(listener);
  if (strcmp(what, "epoll") == 0) serve_epoll(listener);
  if (strcmp(what, "elsewhere") == 0) serve_elsewhere(listener, argv[3]);
  if (argc > 3) wait_for(argv[3]);
  if (strcmp(what, "late-accept") == 0) serve(listener);
  if (strcmp(what, "late-select") == 0) serve_selecting(listener);
  if (strcmp(what, "late-epoll") == 0) serve_epoll(listener);
  if (strcmp(what, "one-by-one") == 0) serve(listener);
  if (strcmp(what, "selecting") == 0) serve_selecting(listener);
  serve_polling(listener);
}
