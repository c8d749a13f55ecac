/*
 * A server whose answers take as long as the test wants: `toiler PORT MODE [ARGUMENT]`. A line is a request:
 * "now" is answered at once, "wait FILE" when the file exists, each with "done".
 *
 *   plain          a thread for each connection
 *   watch          the same; stops waiting for an answer if its client has left
 *   chroot DIR     the same as plain, within DIR
 *   full           accepts only as many connections as it has descriptors for
 *   deaf           one thread that polls, and blocks every signal
 *   clients PORT   before it serves, connects to that port again and again, each time from an address that it
 *                  has bound
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, CLIENTS = 300, DESCRIPTORS = 44 };

static bool watches;

static bool fail(const char* what) {
  perror(what);
  exit(1);
}

static struct sockaddr_in local(const char* port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)atoi(port))};
}

static bool is_left(int fd) {
  char byte;
  return watches && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* False: the connection has ended. */
static bool answer(int fd, char* line) {
  line[strcspn(line, "\n")] = '\0';
  if (strncmp(line, "wait ", 5) == 0) {
    while (access(line + 5, F_OK) != 0) {
      if (is_left(fd)) return false;
      poll(NULL, 0, 5);
    }
  }
  return send(fd, "done\n", 5, MSG_NOSIGNAL) == 5;
}

static bool serve_once(int fd) {
  char line[512];
  const ssize_t size = recv(fd, line, sizeof line - 1, 0);
  if (size <= 0) return false;
  line[size] = '\0';
  return answer(fd, line);
}

static void* serve(void* connection) {
  const int fd = (int)(long)connection;
  while (serve_once(fd)) continue;
  close(fd);
  return NULL;
}

static void serve_polling(int listener) {
  struct pollfd all[CONNECTIONS_MAX] = {{listener, POLLIN, 0}};
  nfds_t count = 1;
  for (;;) {
    if (poll(all, count, -1) <= 0) continue;
    for (nfds_t i = count - 1; i > 0; --i) {
      if (all[i].revents == 0 || serve_once(all[i].fd)) continue;
      close(all[i].fd);
      all[i] = all[--count];
    }
    if (all[0].revents == 0 || count == CONNECTIONS_MAX) continue;
    const int connection = accept(listener, NULL, NULL);
    if (connection >= 0) all[count++] = (struct pollfd){connection, POLLIN, 0};
  }
}

static void connect_often(const char* port) {
  const struct sockaddr_in from = local("0"), to = local(port);
  for (int i = 0; i < CLIENTS; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (const struct sockaddr*)&from, sizeof from) != 0) fail("bind a client");
    if (connect(fd, (const struct sockaddr*)&to, sizeof to) != 0) fail("connect");
    close(fd);
  }
}

static void assume(const char* mode, const char* argument) {
  watches = strcmp(mode, "watch") == 0;
  if (strcmp(mode, "chroot") == 0 && (chroot(argument) != 0 || chdir("/") != 0)) fail("chroot");
  if (strcmp(mode, "full") == 0 && setrlimit(RLIMIT_NOFILE, &(struct rlimit){DESCRIPTORS, DESCRIPTORS}) != 0)
    fail("setrlimit");
  if (strcmp(mode, "clients") == 0) connect_often(argument);
  if (strcmp(mode, "deaf") == 0) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
  }
}

__attribute__((visibility("default"))) int main(int argc, char** argv) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  if (argc < 3) return 2;
  const struct sockaddr_in address = local(argv[1]);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (const struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 128) != 0)
    fail("listen");
  assume(argv[2], argc > 3 ? argv[3] : "");
  if (strcmp(argv[2], "deaf") == 0) serve_polling(listener);
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    pthread_t thread;
    if (connection >= 0 && pthread_create(&thread, NULL, serve, (void*)(long)connection) == 0)
      pthread_detach(thread);
    else if (errno == EMFILE) poll(NULL, 0, 5);
  }
}
