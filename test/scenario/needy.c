/* An application that answers with the text of a private library. */
#include <liveswap_plugin.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const char* elsewhere_text(void);

static void answer(int fd) {
  char request[4096];
  const char* path = getenv("LD_LIBRARY_PATH");
  char body[512];
  const int size = snprintf(body, sizeof body, "%s path=%s\n", elsewhere_text(), path == NULL ? "" : path);
  if (recv(fd, request, sizeof request, 0) > 0)
    dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", size, body);
  liveswap_close_lingering(fd);
}

__attribute__((visibility("default"))) int liveswap_main(int fd) {
  struct pollfd wait[] = {{fd, POLLIN, 0}, {liveswap_drain_fd(), POLLIN, 0}};
  while (!liveswap_draining()) {
    poll(wait, 2, -1);
    const int client = accept(fd, NULL, NULL);
    if (client >= 0) answer(client);
  }
  return 0;
}
