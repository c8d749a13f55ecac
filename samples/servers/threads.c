/*
 * An ordinary HTTP server: blocking sockets, a thread for each connection. Contains no code for liveswap.
 *
 *     cc -pthread -o server threads.c && ./server 8080                        # as a program
 *     cc -pthread -shared -fPIC -o libserver.so threads.c                     # as a library
 *     liveswap start ./libserver.so --entry main -- 8080
 *     cc -pthread -shared -fPIC -DVERSION=2 -o libserver_v2.so threads.c
 *     liveswap upgrade ./libserver_v2.so                                      # curl http://127.0.0.1:8080/
 */
#define _GNU_SOURCE 1 /* strcasestr */
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION 1
#endif

enum { REQUEST_MAX = 8192 };

/* Reads a request without a body. Returns its length with the empty line; 0: the client has gone, or the
 * request is too long. */
static size_t read_request(int fd, char* request, size_t* filled) {
  for (;;) {
    request[*filled] = '\0';
    const char* end = strstr(request, "\r\n\r\n");
    if (end != NULL) return (size_t)(end - request) + 4;
    if (*filled == REQUEST_MAX) return 0;
    const ssize_t got = recv(fd, request + *filled, REQUEST_MAX - *filled, 0);
    if (got <= 0) return 0;
    *filled += (size_t)got;
  }
}

static int answer(int fd, int last) {
  char text[256], body[64];
  const int length = snprintf(body, sizeof body, "Hello from version %d, threads\n", VERSION);
  const int size = snprintf(text, sizeof text,
                            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n%s",
                            length, last ? "Connection: close\r\n" : "", body);
  return send(fd, text, (size_t)size, MSG_NOSIGNAL) == size;
}

static void* serve(void* argument) {
  const int fd = (int)(intptr_t)argument;
  char request[REQUEST_MAX + 1];
  size_t filled = 0, size;
  int last = 0;
  while (!last && (size = read_request(fd, request, &filled)) > 0) {
    request[size - 1] = '\0';
    last = strcasestr(request, "\nConnection: close") != NULL;
    if (!answer(fd, last)) break;
    filled -= size;
    memmove(request, request + size, filled); /* a client may send requests ahead */
  }
  close(fd);
  return NULL;
}

int main(int argc, char** argv) {
  const int port = argc > 1 ? atoi(argv[1]) : 8080, on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 1024) != 0) {
    perror("cannot listen");
    return 1;
  }
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  for (;;) {
    const int fd = accept(listener, NULL, NULL);
    pthread_t thread;
    if (fd >= 0 && pthread_create(&thread, &detached, serve, (void*)(intptr_t)fd) != 0) close(fd);
  }
}
