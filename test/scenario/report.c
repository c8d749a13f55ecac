/* An application that reports what it is: `listener=NAME slot=N generation=N arguments=A,B`. Its arguments
 * are names of further listeners, which it also serves, and `crash-if=PATH`: slot 1 crashes at its start
 * while that file exists. */
#include <liveswap_plugin.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENERS = 8 };

static const char* names[LISTENERS] = {"0"};
static struct pollfd polled[LISTENERS + 1];
static int count = 1;

static void answer(int listener, const char* name) {
  char request[4096];
  char body[512];
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  int size = snprintf(body, sizeof body, "listener=%s slot=%d generation=%d arguments=", name,
                      liveswap_slot(), (int)liveswap_generation());
  for (int i = 1; i < liveswap_argc(); ++i)
    size += snprintf(body + size, sizeof body - (size_t)size, "%s%s", i > 1 ? "," : "", liveswap_argv()[i]);
  if (recv(fd, request, sizeof request, 0) > 0)
    dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", size + 1, body);
  liveswap_close_lingering(fd);
}

static void heed_arguments(void) {
  for (int i = 1; i < liveswap_argc(); ++i) {
    const char* word = liveswap_argv()[i];
    if (strncmp(word, "crash-if=", 9) == 0 && liveswap_slot() == 1 && access(word + 9, F_OK) == 0)
      raise(SIGSEGV);
    const int fd = liveswap_listener(word);
    if (fd < 0 || count == LISTENERS) continue;
    names[count] = word;
    polled[count++] = (struct pollfd){fd, POLLIN, 0};
  }
}

int liveswap_main(int fd) {
  polled[0] = (struct pollfd){fd, POLLIN, 0};
  heed_arguments();
  polled[count] = (struct pollfd){liveswap_drain_fd(), POLLIN, 0};
  while (!liveswap_draining()) {
    poll(polled, (nfds_t)count + 1, -1);
    for (int i = 0; i < count; ++i)
      if (polled[i].revents != 0) answer(polled[i].fd, names[i]);
  }
  return 0;
}
