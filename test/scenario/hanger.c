/* A server of one thread that hangs for good at `GET /hang`. HEARTBEAT: its loop gives heartbeats. UNSEEN: it
 * accepts by a system call that the worker host does not see. Serves the listener "other", too, if there is
 * one. */
#define _GNU_SOURCE 1
#include <liveswap_plugin.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../worker/raw_call.h"

static int next_wait(void) {
#ifdef HEARTBEAT
  return liveswap_heartbeat();
#else
  return -1;
#endif
}

static int take(int listener) {
#ifdef UNSEEN
  return (int)raw_call(SYS_accept4, listener, 0, 0, SOCK_CLOEXEC);
#else
  return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
#endif
}

static void serve(int client) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nv1\n";
  char request[1024] = "";
  if (recv(client, request, sizeof request - 1, 0) > 0) {
    while (strstr(request, "GET /hang ") != NULL) pause();
    send(client, answer, strlen(answer), MSG_NOSIGNAL);
  }
  if (liveswap_close_lingering(client) != 0) close(client);
}

int liveswap_main(int fd) {
  while (!liveswap_draining()) {
    struct pollfd wait[3] = {
        {liveswap_drain_fd(), POLLIN, 0}, {fd, POLLIN, 0}, {liveswap_listener("other"), POLLIN, 0}};
    poll(wait, 3, next_wait());
    for (int i = 1; i < 3; ++i) {
      const int client = (wait[i].revents & POLLIN) != 0 ? take(wait[i].fd) : -1;
      if (client >= 0) serve(client);
    }
  }
  return 0;
}
