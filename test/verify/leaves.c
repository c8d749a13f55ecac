/* A server that starts a program in a session of its own and forgets it: the program outlives the worker. */
#include <liveswap_plugin.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

static void start_helper(void) {
  if (fork() != 0) return;
  setsid();
  execlp("sleep", "sleep", "600", NULL);
  _exit(1);
}

int liveswap_main(int fd) {
  start_helper();
  while (!liveswap_draining()) {
    struct pollfd polled[2] = {{fd, POLLIN, 0}, {liveswap_drain_fd(), POLLIN, 0}};
    poll(polled, 2, -1);
    if (liveswap_draining()) break;
    const int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    char request[4096];
    if (client < 0) continue;
    if (recv(client, request, sizeof request, 0) > 0) send(client, answer, sizeof answer - 1, MSG_NOSIGNAL);
    liveswap_close_lingering(client);
  }
  return 0;
}
