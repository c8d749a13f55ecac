/* A common kind of server: it answers with keep-alive, and returns at once when it is told to drain. Clients
 * that have just sent a request get no answer. */
#include <liveswap_plugin.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 512, THINKING_MS = 20 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

static struct pollfd polled[CLIENTS + 2];
static int count = 2;

static bool serve(int fd) {
  char request[4096];
  if (recv(fd, request, sizeof request, MSG_DONTWAIT) <= 0) return false;
  return send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

int liveswap_main(int fd) {
  for (;;) {
    polled[0] = (struct pollfd){fd, POLLIN, 0};
    polled[1] = (struct pollfd){liveswap_drain_fd(), POLLIN, 0};
    poll(polled, (nfds_t)count, -1);
    /* Some time between request and answer, so that some client always waits. */
    poll(NULL, 0, THINKING_MS);
    if (liveswap_draining()) return 0;
    for (int i = count - 1; i >= 2; --i) {
      if (polled[i].revents == 0 || serve(polled[i].fd)) continue;
      close(polled[i].fd);
      polled[i] = polled[--count];
    }
    int client = 0;
    while (count < CLIENTS + 2 && (client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
      polled[count++] = (struct pollfd){client, POLLIN, 0};
    }
  }
}
