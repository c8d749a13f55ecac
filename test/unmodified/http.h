/* The part of HTTP that the servers of this folder need: GET and keep-alive; the body is VERSION. */
#ifndef UNMODIFIED_HTTP_H
#define UNMODIFIED_HTTP_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The build hides all symbols that are not exported explicitly. */
#define PROGRAM __attribute__((visibility("default")))

struct client {
  int fd;
  size_t size;
  char in[4096];
};

/* Writes the answers to all complete requests in the buffer. Returns their size, 0: none; `*last`: close
 * afterwards. */
static inline size_t answers_to(struct client* client, char* out, size_t capacity, bool* last) {
  size_t made = 0;
  for (char* end; (end = memmem(client->in, client->size, "\r\n\r\n", 4)) != NULL && capacity - made > 256;) {
    const size_t taken = (size_t)(end + 4 - client->in);
    *end = '\0';
    *last = *last || strcasestr(client->in, "connection: close") != NULL;
    made +=
        (size_t)snprintf(out + made, capacity - made, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n%s",
                         strlen(VERSION), *last ? "Connection: close\r\n" : "", VERSION);
    client->size -= taken;
    memmove(client->in, client->in + taken, client->size);
  }
  return made;
}

/* -DSLOW: sends answers in two halves, with a pause before each. */
static inline bool send_answer(const struct client* client, const char* text, size_t size) {
#ifdef SLOW
  const size_t half = size / 2;
  usleep(60 * 1000);
  if (send(client->fd, text, half, MSG_NOSIGNAL) != (ssize_t)half) return false;
  usleep(60 * 1000);
  text += half;
  size -= half;
#endif
  return send(client->fd, text, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Reads once and answers. False: the connection has ended, and the caller closes it. */
static inline bool serve_once(struct client* client) {
  char out[16384];
  bool last = false;
  const ssize_t size = recv(client->fd, client->in + client->size, sizeof client->in - client->size, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (size <= 0) return false;
  client->size += (size_t)size;
  const size_t made = answers_to(client, out, sizeof out, &last);
  if (made > 0 && !send_answer(client, out, made)) return false;
  return !last && client->size < sizeof client->in;
}

/* Listens at "8080", "0.0.0.0:8080", "[::]:8080" (every address of both families), or "unix:PATH", which is
 * removed first. */
static inline int listen_at(const char* where, int flags) {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
  } address = {.in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}};
  socklen_t size = sizeof address.in;
  const int on = 1;
  if (strncmp(where, "unix:", 5) == 0) {
    address.un = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address.un.sun_path, sizeof address.un.sun_path, "%s", where + 5);
    size = sizeof address.un;
    if (where[5] == '@') { /* an abstract name */
      address.un.sun_path[0] = '\0';
      size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(where + 5));
    } else {
      unlink(address.un.sun_path);
    }
  } else if (strncmp(where, "[::]:", 5) == 0) {
    address.in6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(where + 5))};
    size = sizeof address.in6;
  } else if (strncmp(where, "0.0.0.0:", 8) == 0) {
    address.in.sin_addr.s_addr = htonl(INADDR_ANY);
    address.in.sin_port = htons((uint16_t)atoi(where + 8));
  } else {
    address.in.sin_port = htons((uint16_t)atoi(where));
  }
  const int fd = socket(address.any.sa_family, SOCK_STREAM | flags, 0);
  if (fd < 0 ||
      (address.any.sa_family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) ||
      bind(fd, &address.any, size) != 0 || listen(fd, 511) != 0) {
    perror(where);
    exit(1);
  }
  return fd;
}

#endif
