/*
 * An ordinary event loop that streams its answers, and knows nothing of liveswap: `main PORT [unix]`. GET /
 * is answered at once, with VERSION. Every other path is answered in two parts: the first at once, the second
 * when the gate of its name exists. The second part of /timed comes after PAUSE_MS, that of /soon after
 * SOON_MS. /push is not HTTP: it sends ticks until the gate exists. Each path sends in its own way (parts
 * below).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM __attribute__((visibility("default")))
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define TIMED "6\r\nsecond\r\n"

enum {
  CLIENTS_MAX = 256,
  LARGE = 4 << 20,
  PAUSE_MS = 900,
  TIMED_PARTS = 2,
  SOON_MS = 120,
  SOON_PARTS = 1,
  TICK_MS = 200
};

struct client {
  char in[1024];
  size_t size;
  char path[64]; /* of the current request; "": none */
  size_t unsent; /* unsent bytes of the large body */
  long due;
  int parts_left;
};

static struct pollfd polled[CLIENTS_MAX + 1];
static struct client clients[CLIENTS_MAX + 1];
static nfds_t count = 1;
static const char* gate;

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void put(int fd, const char* text) {
  if (write(fd, text, strlen(text)) < 0) perror("write");
}

/* Sends as much of the large body as fits; its content does not matter. */
static void put_large(int fd, struct client* client) {
  static char zeros[LARGE];
  const ssize_t sent = send(fd, zeros, client->unsent, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) client->unsent -= (size_t)sent;
}

static void put_file(int fd, off_t from, size_t size) {
  const int file = memfd_create("body", 0);
  if (file < 0 || write(file, "first\nsecond\n", 13) != 13 || sendfile(fd, file, &from, size) < 0)
    perror("sendfile");
  close(file);
}

static void put_parts(int fd, const char* one, const char* other) {
  struct iovec parts[2] = {{(void*)one, strlen(one)}, {(void*)other, strlen(other)}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) perror("sendmsg");
}

static void put_stream(int fd, const char* text) {
  FILE* stream = fdopen(dup(fd), "w");
  if (stream == NULL) return;
  fputs(text, stream);
  fclose(stream);
}

static bool is(const char* path, const char* name) { return strcmp(path, name) == 0; }

static void first_part(int fd, struct client* client) {
  const char* path = client->path;
  if (is(path, "/chunked")) dprintf(fd, CHUNKED "6\r\n%s\n\r\n", "first");
  if (is(path, "/raw")) syscall(SYS_write, fd, CHUNKED "6\r\nfirst\n\r\n", strlen(CHUNKED) + 11);
  if (is(path, "/flushed")) put(fd, CHUNKED);
  if (is(path, "/events"))
    put(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
  if (is(path, "/length")) put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nfirst\n");
  if (is(path, "/announced")) put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n");
  if (is(path, "/lines")) {
    for (const char* line = CHUNKED "6\r\nfirst\n\r\n"; *line != '\0'; ++line)
      send(fd, line, 1, MSG_NOSIGNAL);
  }
  if (is(path, "/trailers")) {
    put_parts(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n",
              "6\r\nfirst\n\r\n0\r\n");
  }
  if (is(path, "/writev")) put_parts(fd, CHUNKED, "6\r\nfirst\n\r\n");
  if (is(path, "/interim")) put(fd, "HTTP/1.1 103 Early Hints\r\nLink: first\r\n\r\n");
  if (is(path, "/timed") || is(path, "/soon")) put(fd, CHUNKED);
  if (is(path, "/push")) put(fd, "tick\n");
  if (is(path, "/file")) {
    put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n");
    put_file(fd, 0, 6);
  }
  if (is(path, "/stdio")) put_stream(fd, CHUNKED "6\r\nfirst\n\r\n0\r\n\r\n");
  if (is(path, "/large")) {
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nfirst\n", LARGE + 13);
    put(fd, head);
    client->unsent = LARGE;
  }
}

static long pause_of(const struct client* client) { return is(client->path, "/soon") ? SOON_MS : PAUSE_MS; }

/* True: that was the last part. */
static bool next_part(int fd, struct client* client) {
  const char* path = client->path;
  if (is(path, "/push") && access(gate, F_OK) != 0) {
    put(fd, "tick\n");
    client->due = now_ms() + TICK_MS;
    return false;
  }
  if (is(path, "/timed") || is(path, "/soon")) {
    put(fd, TIMED);
    client->due = now_ms() + pause_of(client);
    if (--client->parts_left > 0) return false;
    put(fd, "0\r\n\r\n");
  } else if (is(path, "/trailers")) {
    put(fd, "Sum: second\r\n\r\n");
  } else if (is(path, "/interim")) {
    put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsecond\n");
  } else if (is(path, "/file")) {
    put_file(fd, 6, 7);
  } else if (is(path, "/announced")) {
    put(fd, "first\nsecond\n");
  } else if (is(path, "/events")) {
    put(fd, "data: second\n\n");
    shutdown(fd, SHUT_WR);
  } else if (is(path, "/length") || is(path, "/large") || is(path, "/push")) {
    put(fd, "second\n");
  } else if (!is(path, "/stdio")) {
    put(fd, "7\r\nsecond\n\r\n0\r\n\r\n");
  }
  return true;
}

static void answer(int fd, struct client* client) {
  char method[8];
  client->in[client->size] = '\0';
  if (strstr(client->in, "\r\n\r\n") == NULL) return;
  client->size = 0;
  if (sscanf(client->in, "%7s %63s", method, client->path) != 2) return;
  if (is(client->path, "/")) {
    dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Version: " VERSION "\r\n\r\n%s", strlen(VERSION),
            is(method, "HEAD") ? "" : VERSION);
    client->path[0] = '\0';
    return;
  }
  client->parts_left = is(client->path, "/soon") ? SOON_PARTS : TIMED_PARTS;
  client->due = now_ms() + pause_of(client);
  first_part(fd, client);
}

static bool is_due(const struct client* client) {
  const bool by_clock = is(client->path, "/timed") || is(client->path, "/soon") || is(client->path, "/push");
  return by_clock ? now_ms() >= client->due : access(gate, F_OK) == 0;
}

/* False: the client has left. */
static bool serve(struct pollfd* one, struct client* client) {
  if (one->revents != 0) {
    const ssize_t size =
        recv(one->fd, client->in + client->size, sizeof client->in - 1 - client->size, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN)) return false;
    if (size > 0) client->size += (size_t)size;
    if (size > 0) answer(one->fd, client);
  }
  if (client->unsent > 0) {
    put_large(one->fd, client);
  } else if (client->path[0] != '\0' && is_due(client) && next_part(one->fd, client)) {
    client->path[0] = '\0';
  }
  return true;
}

static int listen_at(const char* where) {
  struct sockaddr_in inet = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(where)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  const bool is_path = where[0] == '/';
  const int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM, 0), on = 1;
  snprintf(local.sun_path, sizeof local.sun_path, "%s", where);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_path) unlink(where);
  if ((is_path ? bind(fd, (struct sockaddr*)&local, sizeof local)
               : bind(fd, (struct sockaddr*)&inet, sizeof inet)) != 0)
    return -1;
  return listen(fd, 128) == 0 ? fd : -1;
}

/* `main PORT-OR-PATH GATE` */
PROGRAM int main(int argc, char** argv) {
  if (argc < 3) return 2;
  gate = argv[2];
  signal(SIGPIPE, SIG_IGN);
  polled[0] = (struct pollfd){listen_at(argv[1]), POLLIN, 0};
  if (polled[0].fd < 0) return 1;
  for (;;) {
    poll(polled, count, 10);
    if (polled[0].revents != 0 && count <= CLIENTS_MAX) {
      const int fd = accept(polled[0].fd, NULL, NULL);
      if (fd >= 0)
        polled[count] = (struct pollfd){fd, POLLIN, 0}, clients[count++] = (struct client){.size = 0};
    }
    for (nfds_t i = 1; i < count; ++i) {
      if (!serve(&polled[i], &clients[i])) {
        close(polled[i].fd);
        polled[i] = polled[--count];
        clients[i--] = clients[count];
      }
    }
  }
}
