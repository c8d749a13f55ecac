/*
 * A server that forks for each connection and drains in its own way. The first argument after `--` says how
 * it exits in a drain:
 *
 *   return   liveswap_main returns at once, whatever the children do
 *   raise    the default action of SIGTERM ends it at once
 *   outside  it does not know of drains: liveswap retires it, and its SIGTERM handler raises the signal again
 *
 * The second argument says how a child is made:
 *
 *   once      by one fork
 *   twice     the child forks again and exits
 *   stuck     the child never answers
 *   helper    like once; in addition a process in a session of its own holds the listener until the listener
 *             is shut down
 *   acceptor  in addition an orphan in a session of its own accepts, and answers each request after 10 ms
 *   daemon    as acceptor, but the orphan has another name and has closed every descriptor but the listener
 *   own       as daemon, but the orphan has closed the listener too, and listens with a socket of its own
 *   hopper    as daemon, but the orphan forks every few milliseconds, and the child goes on in its place
 *   apart     like once; the child becomes an orphan in a session of its own, and closes all but the
 * connection program   in addition an orphan that holds the listener executes another program kept      the
 * child answers one request after the other, each after 10 ms, until the client closes
 *
 * Any other child reads a request, waits until the file of the third argument exists, and answers in two
 * halves, a second apart.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "liveswap_plugin.h"

static int leaves(const char* how) { return strcmp(liveswap_argv()[1], how) == 0; }
static int makes(const char* what) { return strcmp(liveswap_argv()[2], what) == 0; }

/* Reads one request at a time: the clients wait for an answer before they send the next request. */
static void serve_kept(int fd) {
  char in[4096];
  size_t size = 0;
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" VERSION "\n";
  for (ssize_t more; (more = read(fd, in + size, sizeof in - 1 - size)) > 0;) {
    in[size += (size_t)more] = '\0';
    if (strstr(in, "\r\n\r\n") == NULL) continue;
    size = 0;
    usleep(10 * 1000);
    if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) _exit(1);
  }
  _exit(0);
}

static void serve_at_once(int fd) {
  char in[4096];
  static const char answer[] =
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n" VERSION "\n";
  if (read(fd, in, sizeof in) > 0) send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
  _exit(0);
}

static void wait_for_gate(void) {
  while (liveswap_argc() > 3 && access(liveswap_argv()[3], F_OK) != 0) poll(NULL, 0, 5);
}

static void serve(int fd) {
  char in[4096];
  if (makes("kept")) serve_kept(fd);
  const char* const at_once[] = {"acceptor", "daemon", "own", "hopper", "program"};
  for (size_t i = 0; i < sizeof at_once / sizeof *at_once; ++i)
    if (makes(at_once[i])) serve_at_once(fd);
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
  if (read(fd, in, sizeof in) <= 0) _exit(1);
  if (makes("stuck"))
    for (;;) pause();
  wait_for_gate();
  if (send(fd, head, sizeof head - 1, MSG_NOSIGNAL) < 0) _exit(1);
  sleep(1);
  send(fd, VERSION "\n", strlen(VERSION) + 1, MSG_NOSIGNAL);
  _exit(0);
}

static void hold(int listener) {
  struct pollfd held = {listener, 0, 0};
  if (fork() != 0) return;
  setsid();
  poll(&held, 1, -1);
  _exit(0);
}

/* Becomes an orphan in a session of its own, as a daemon does. True in the orphan. */
static int become_orphan(void) {
  if (fork() != 0) return 0;
  setsid();
  if (fork() != 0) _exit(0);
  return 1;
}

/* What a daemon does so that nothing shows where it comes from. */
static void hide(int kept) {
  prctl(PR_SET_NAME, "somebody");
  syscall(SYS_close_range, 0, (unsigned)kept - 1, 0);
  syscall(SYS_close_range, (unsigned)kept + 1, ~0U, 0);
}

/* By system calls, so that the worker host cannot lend the master's socket. */
static int listen_too(int listener) {
  struct sockaddr_in place;
  socklen_t size = sizeof place;
  const int on = 1;
  if (getsockname(listener, (struct sockaddr*)&place, &size) != 0) _exit(1);
  hide(listener);
  syscall(SYS_close, listener);
  const int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  if (syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
      syscall(SYS_bind, fd, &place, size) != 0 || syscall(SYS_listen, fd, 64) != 0)
    _exit(1);
  return fd;
}

static void accept_too(int listener) {
  static const char answer[] =
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n" VERSION "\n";
  if (!become_orphan()) return;
  if (makes("own")) listener = listen_too(listener);
  else if (!makes("acceptor")) hide(listener);
  for (;;) {
    char in[4096];
    struct pollfd polled = {listener, POLLIN, 0};
    if (makes("hopper") && poll(&polled, 1, 20) == 0 && fork() != 0) _exit(0);
    if (!makes("hopper") && poll(&polled, 1, -1) < 0) continue;
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    if (read(fd, in, sizeof in) > 0) {
      usleep(10 * 1000);
      send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    }
    close(fd);
  }
}

static void run_program(int listener) {
  if (!become_orphan()) return;
  fcntl(listener, F_SETFD, 0);
  execlp("sleep", "sleep", "600", NULL);
  _exit(1);
}

static void give_to_child(int listener, int fd) {
  if (fork() == 0) {
    if (makes("twice") && fork() != 0) _exit(0);
    if (makes("apart") && !become_orphan()) _exit(0);
    if (makes("apart")) hide(fd);
    close(listener);
    serve(fd);
  }
  close(fd);
}

static void raise_again(int number) {
  signal(number, SIG_DFL);
  raise(number);
}

__attribute__((visibility("default"))) int liveswap_main(int listener) {
  if (liveswap_argc() < 3) return 1;
  const int drains = !leaves("outside");
  signal(SIGCHLD, SIG_IGN);
  if (!drains) signal(SIGTERM, raise_again);
  if (makes("helper")) hold(listener);
  if (makes("program")) run_program(listener);
  struct pollfd polled[2] = {{listener, POLLIN, 0}, {drains ? liveswap_drain_fd() : -1, POLLIN, 0}};
  if (makes("acceptor") || makes("daemon") || makes("own") || makes("hopper")) accept_too(listener);
  for (;;) {
    if (poll(polled, 2, -1) < 0) continue;
    if (polled[1].revents != 0) break;
    const int fd = accept(listener, NULL, NULL);
    if (fd >= 0) give_to_child(listener, fd);
  }
  if (leaves("raise")) {
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
  }
  return 0;
}
