/* A server that serves one client at a time, 100 ms each; the other clients wait in the accept queue. */
#include <liveswap_plugin.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(int client) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nv1\n";
  char request[1024];
  if (recv(client, request, sizeof request, 0) > 0) {
    poll(NULL, 0, 100);
    send(client, answer, strlen(answer), MSG_NOSIGNAL);
  }
  if (liveswap_close_lingering(client) != 0) close(client);
}

int liveswap_main(int fd) {
  struct pollfd wait[2] = {{fd, POLLIN, 0}, {liveswap_drain_fd(), POLLIN, 0}};
  liveswap_ready();
  while (!liveswap_draining()) {
    poll(wait, 2, -1);
    const int client = liveswap_draining() ? -1 : accept(fd, NULL, NULL);
    if (client >= 0) serve(client);
  }
  return 0;
}
