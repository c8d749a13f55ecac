/* One thread, poll() or select(), and a blocking listener. */
#include "http.h"

#include <poll.h>
#include <sys/select.h>

enum { CLIENTS_MAX = 900 };

static struct client clients[CLIENTS_MAX];
static int client_count;

static void accept_one(int listener) {
  const int fd = accept(listener, NULL, NULL);
  if (fd < 0) return;
  if (client_count == CLIENTS_MAX) {
    close(fd);
    return;
  }
  clients[client_count].fd = fd;
  clients[client_count++].size = 0;
}

static void serve_one(int i) {
  if (serve_once(&clients[i])) return;
  close(clients[i].fd);
  clients[i] = clients[--client_count];
}

#ifdef SELECT
static void turn(int listener) {
  fd_set in;
  int width = listener + 1;
  FD_ZERO(&in);
  FD_SET(listener, &in);
  for (int i = 0; i < client_count; ++i) {
    FD_SET(clients[i].fd, &in);
    if (clients[i].fd >= width) width = clients[i].fd + 1;
  }
  if (select(width, &in, NULL, NULL, NULL) <= 0) return;
  for (int i = client_count - 1; i >= 0; --i)
    if (FD_ISSET(clients[i].fd, &in)) serve_one(i);
  if (FD_ISSET(listener, &in)) accept_one(listener);
}
#else
static void turn(int listener) {
  /* With -D_FORTIFY_SOURCE and a size that the compiler does not know, this calls __poll_chk. */
  struct pollfd wait[CLIENTS_MAX + 1] = {{listener, POLLIN, 0}};
  const int count = client_count;
  for (int i = 0; i < count; ++i) wait[i + 1] = (struct pollfd){clients[i].fd, POLLIN, 0};
  if (poll(wait, (nfds_t)count + 1, -1) <= 0) return;
  for (int i = count - 1; i >= 0; --i)
    if (wait[i + 1].revents != 0) serve_one(i);
  if (wait[0].revents != 0) accept_one(listener);
}
#endif

PROGRAM int main(int argc, char** argv) {
  const int listener = listen_at(argc > 1 ? argv[1] : "8080", 0);
  for (;;) turn(listener);
}
