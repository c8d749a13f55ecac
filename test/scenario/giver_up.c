/* A server that closes its lent listener when a request says so, in several ways, and goes on serving. */
#define _GNU_SOURCE 1
#include <liveswap_plugin.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../worker/raw_call.h"

static int listener;

static void give_up(const char* request) {
  const int before = listener;
  if (strstr(request, "GET /shutdown ") != NULL) shutdown(listener, SHUT_RDWR);
  if (strstr(request, "GET /close ") != NULL) close(listener);
  if (strstr(request, "GET /close_range ") != NULL) close_range((unsigned)listener, (unsigned)listener, 0);
  /* As a runtime that makes system calls itself: the worker host does not see the call. */
  if (strstr(request, "GET /raw_close ") != NULL) raw_call(SYS_close, listener, 0, 0, 0);
  if (strstr(request, "GET /raw_shutdown ") != NULL) raw_call(SYS_shutdown, listener, SHUT_RDWR, 0, 0);
  if (strstr(request, "GET /dup ") != NULL) {
    listener = dup(before);
    close(before);
  }
}

static void serve(int client) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nv1\n";
  char request[1024] = "";
  if (recv(client, request, sizeof request - 1, 0) > 0) {
    give_up(request);
    send(client, answer, strlen(answer), MSG_NOSIGNAL);
  }
  if (liveswap_close_lingering(client) != 0) close(client);
}

int liveswap_main(int fd) {
  listener = fd;
  while (!liveswap_draining()) {
    struct pollfd wait[2] = {{liveswap_drain_fd(), POLLIN, 0}, {listener, POLLIN, 0}};
    poll(wait, 2, -1);
    if ((wait[1].revents & POLLNVAL) != 0) poll(wait, 1, -1); /* the listener is closed */
    if ((wait[1].revents & POLLHUP) != 0) poll(NULL, 0, 1);
    const int client = (wait[1].revents & POLLIN) != 0 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    if (client >= 0) serve(client);
  }
  return 0;
}
