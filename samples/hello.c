/*
 * Hello World for liveswap: one connection, one request, one answer. With -DVERSION=2 the answer differs,
 * to make an upgrade visible:
 *
 *     liveswap start libhello_v1.so --listen 127.0.0.1:1337
 *     liveswap upgrade libhello_v2.so
 *
 * Upgrades lose no request, because this server blocks only in poll(), and limits buffer and time of each
 * client. When the drain descriptor becomes readable, it stops accepting, answers the connected clients
 * and returns 0.
 */
#define _GNU_SOURCE 1 /* accept4 */
#include <errno.h>
#include <liveswap_plugin.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#if defined(VERSION) && VERSION == 2
static const char answer[] =
    "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 10\r\nConnection: "
    "close\r\n\r\nNot Found\n";
#else
static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: close\r\n\r\nHello "
    "World\n";
#endif

enum { CLIENTS = 512, REQUEST_MAX = 4096, TIMEOUT_MS = 10000, LISTENER = CLIENTS, DRAIN = CLIENTS + 1 };

struct client {
  long since_ms;
  size_t size;
  char request[REQUEST_MAX + 1];
};

static struct client clients[CLIENTS]; /* clients[i] talks over polled[i].fd; -1: free */
static struct pollfd polled[CLIENTS + 2];
static int open_clients;

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

static void forget(int i) {
  polled[i].fd = -1;
  --open_clients;
}

static void finish(int i) {
  /* close() would reset the connection if bytes of the request are unread, and the client would lose the
   * answer. */
  liveswap_close_lingering(polled[i].fd);
  forget(i);
}

/* Closes a connection that takes too long or, during the drain, one on which nothing was sent. */
static void hurry(int i) {
  const long waited_ms = now_ms() - clients[i].since_ms;
  if (waited_ms > TIMEOUT_MS) {
    finish(i);
  } else if (liveswap_draining() && clients[i].size == 0 &&
             liveswap_close_idle(polled[i].fd, waited_ms) == 0) {
    forget(i);
  }
}

static void serve(int i) {
  struct client* client = &clients[i];
  const ssize_t got =
      recv(polled[i].fd, client->request + client->size, REQUEST_MAX - client->size, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) client->size += (size_t)got;
  client->request[client->size] = '\0';
  const bool complete = strstr(client->request, "\r\n\r\n") != NULL;
  /* A hundred bytes always fit into the empty send buffer of a new connection. */
  if (complete) send(polled[i].fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (complete) liveswap_served(0);
  if (complete || got <= 0 || client->size == REQUEST_MAX) finish(i);
}

static void accept_one(int i) {
  polled[i].fd = accept4(polled[LISTENER].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (polled[i].fd < 0) return; /* another worker was faster */
  clients[i].since_ms = now_ms();
  clients[i].size = 0;
  ++open_clients;
}

int liveswap_main(int fd) {
  for (int i = 0; i < CLIENTS; ++i) polled[i] = (struct pollfd){-1, POLLIN, 0};
  polled[DRAIN] = (struct pollfd){liveswap_drain_fd(), POLLIN, 0};
  for (;;) {
    const bool draining = liveswap_draining() != 0;
    if (draining && open_clients == 0) return 0;
    if (draining) polled[DRAIN].fd = -1; /* stays readable, so poll() would no longer wait */
    polled[LISTENER] = (struct pollfd){draining || open_clients == CLIENTS ? -1 : fd, POLLIN, 0};
    poll(polled, CLIENTS + 2, draining ? 20 : open_clients > 0 ? 1000 : -1);

    bool arrived = (polled[LISTENER].revents & POLLIN) != 0;
    for (int i = 0; i < CLIENTS; ++i) {
      if (polled[i].fd >= 0 && polled[i].revents != 0) serve(i);
      if (polled[i].fd >= 0) hurry(i);
      if (polled[i].fd < 0 && arrived) {
        accept_one(i);
        arrived = false;
      }
    }
  }
}
