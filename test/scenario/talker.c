/* Applications that fail, and that write the reason last: one for each -DTALK_…. */
#define _GNU_SOURCE 1 /* close_range */
#include <liveswap_plugin.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined TALK_SELFTEST
int liveswap_selftest(void) {
  liveswap_log(LIVESWAP_ERROR, "the licence has expired");
  return 7;
}
#elif defined TALK_SELFTEST_PRINTS
int liveswap_selftest(void) {
  printf("the licence is of another product\n");
  raise(SIGABRT);
  return 0;
}
#elif defined TALK_SELFTEST_FLOOD
int liveswap_selftest(void) {
  static char line[4096];
  memset(line, 'x', sizeof line - 1);
  for (;;) {
    printf("%s\n", line);
    liveswap_log(LIVESWAP_INFO, line);
  }
}
#elif defined TALK_SELFTEST_DAEMON
/* Leaves an orphan in a session of its own, without a descriptor of the check, which is known by its name. */
int liveswap_selftest(void) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    const pid_t daemon = fork();
    if (daemon != 0) {
      printf("daemon %d\n", (int)daemon);
      fflush(stdout);
      _exit(0);
    }
    close_range(0, ~0U, 0);
    alarm(120);
    for (;;) pause();
  }
  waitpid(child, NULL, 0);
  return 7;
}
#endif

/* Receives the whole head of a request. */
static int receive(int fd, char* request, size_t room) {
  size_t size = 0;
  for (ssize_t more; (more = recv(fd, request + size, room - 1 - size, 0)) > 0;) {
    request[size += (size_t)more] = '\0';
    if (strstr(request, "\r\n\r\n") != NULL) return 1;
  }
  return 0;
}

/* Writes a quarter of a megabyte of output for every request, more than a pipe holds. */
static void serve(int listener) {
  static char line[1024];
  char request[1024];
  memset(line, 'x', sizeof line - 1);
  struct pollfd polled[2] = {{listener, POLLIN, 0}, {liveswap_drain_fd(), POLLIN, 0}};
  while (poll(polled, 2, -1) > 0 && polled[1].revents == 0) {
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    if (receive(fd, request, sizeof request)) {
      for (int i = 0; i < 256; ++i) fprintf(i % 2 == 0 ? stderr : stdout, "%s\n", line);
      if (strstr(request, "/crash") != NULL) {
        printf("FATAL: schema 7 expected\n");
        raise(SIGSEGV);
      }
      dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nv1\n");
    }
    liveswap_close_lingering(fd);
  }
}

int liveswap_main(int fd) {
#if defined TALK_RETURN
  fprintf(stderr, "FATAL: \033[31mschema 7\033[0m expected\n");
  printf("without a newline");
  return 1;
#elif defined TALK_RETURN_0
  printf("FATAL: schema 7 expected\n");
  return 0;
#elif defined TALK_ABORT
  printf("FATAL: schema 7 expected\n");
  abort();
#elif defined TALK_EXIT
  printf("FATAL: schema 7 expected\n");
  _exit(3);
#elif defined TALK_LOG
  liveswap_log(LIVESWAP_ERROR, "FATAL: schema 7 expected");
  abort();
#elif defined TALK_EXEC
  execl("/bin/sh", "sh", "-c", "echo FATAL: schema 7 expected >&2; exit 3", (char*)NULL);
#elif defined TALK_CHILD
  return system("echo FATAL: schema 7 expected; exit 3") == 0 ? 0 : 4;
#elif defined TALK_LATE
  liveswap_defer_ready();
  printf("waiting for schema 7 expected\n");
  for (;;) pause();
#elif defined TALK_CHATTER
  for (int i = 0; i < 20000; ++i) {
    char line[64];
    snprintf(line, sizeof line, "line %d of very many", i);
    liveswap_log(LIVESWAP_INFO, line);
  }
#elif defined TALK_FLOOD
  liveswap_defer_ready();
  for (int i = 0; i < 20000; ++i) printf("line %d of very many\n", i);
  printf("FATAL: schema 7 expected\n");
  return 1;
#endif
  serve(fd);
  return 0;
}
