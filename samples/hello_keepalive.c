/*
 * Hello World with keep-alive on libuv, to show four things:
 *   - a borrowed descriptor (listener, drain) goes into an event loop by uv_poll, which never closes it;
 *   - during a drain, answers say `Connection: close`, so that clients leave by themselves;
 *   - liveswap_close_idle ends a connection that is idle during a drain, unless a request has just arrived;
 *   - a timer of the loop gives heartbeats, so that `--liveness heartbeat` finds a worker whose loop hangs.
 */
#define _GNU_SOURCE 1 /* accept4 */
#include <fcntl.h>
#include <liveswap_plugin.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { REQUEST_MAX = 4096, IDLE_MAX_MS = 60000, LOOK_EVERY_MS = 1000, LOOK_EVERY_DRAINING_MS = 20 };

struct client {
  uv_tcp_t tcp;
  uv_write_t write;
  uint64_t last_ms;   /* of the last answer */
  bool writing, last; /* an answer is being sent; it said Connection: close */
  size_t size;
  char request[REQUEST_MAX + 1];
  struct client *next, **link;
};

static uv_loop_t loop;
static uv_poll_t listener, drain;
static uv_timer_t timer, heart;
static int listener_fd;
static struct client* clients;

#define HEADERS "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
static const char answer_keep[] = HEADERS "\r\nHello World\n";
static const char answer_last[] = HEADERS "Connection: close\r\n\r\nHello World\n";

static void on_closed(uv_handle_t* handle) { free(handle->data); }

static void forget(struct client* client) {
  *client->link = client->next;
  if (client->next != NULL) client->next->link = client->link;
  uv_close((uv_handle_t*)&client->tcp, on_closed);
}

/* libuv closes its own descriptor; the host takes ownership of a duplicate. */
static int duplicate(const struct client* client) {
  uv_os_fd_t fd = -1;
  uv_fileno((const uv_handle_t*)&client->tcp, &fd);
  return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void finish(struct client* client) {
  const int fd = duplicate(client);
  if (fd >= 0) liveswap_close_lingering(fd);
  forget(client);
}

static void serve(struct client* client);

static void on_written(uv_write_t* write, int status) {
  struct client* client = write->data;
  if (uv_is_closing((uv_handle_t*)&client->tcp)) return;
  client->writing = false;
  client->last_ms = uv_now(&loop);
  if (status == 0) liveswap_served(0);
  if (status < 0 || client->last) {
    finish(client);
  } else {
    serve(client);
  }
}

/* Answers the first complete request in the buffer; on_written() calls again for the next. */
static void serve(struct client* client) {
  client->request[client->size] = '\0';
  char* end = strstr(client->request, "\r\n\r\n");
  if (client->writing) return;
  if (end == NULL) {
    if (client->size == REQUEST_MAX) finish(client);
    return;
  }
  client->size -= (size_t)(end + 4 - client->request);
  memmove(client->request, end + 4, client->size);
  client->last = liveswap_draining() != 0;
  uv_buf_t text = client->last ? uv_buf_init((char*)answer_last, sizeof answer_last - 1)
                               : uv_buf_init((char*)answer_keep, sizeof answer_keep - 1);
  client->writing = true;
  client->write.data = client;
  if (uv_write(&client->write, (uv_stream_t*)&client->tcp, &text, 1, on_written) != 0) finish(client);
}

static void give_buffer(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer) {
  struct client* client = handle->data;
  (void)suggested;
  *buffer = uv_buf_init(client->request + client->size, (unsigned)(REQUEST_MAX - client->size));
}

static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  struct client* client = stream->data;
  (void)buffer;
  if (size < 0) { /* end of file, or UV_ENOBUFS: the client sends but does not read */
    finish(client);
  } else if (size > 0) {
    client->size += (size_t)size;
    serve(client);
  }
}

static void on_connection(uv_poll_t* handle, int status, int events) {
  (void)handle, (void)status, (void)events;
  const int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return; /* another worker was faster */
  struct client* client = calloc(1, sizeof *client);
  if (client == NULL || uv_tcp_init(&loop, &client->tcp) != 0) {
    free(client);
    close(fd);
    return;
  }
  client->tcp.data = client;
  client->last_ms = uv_now(&loop);
  client->link = &clients;
  client->next = clients;
  if (clients != NULL) clients->link = &client->next;
  clients = client;
  uv_tcp_open(&client->tcp, fd);
  uv_read_start((uv_stream_t*)&client->tcp, give_buffer, on_read);
}

static void look_at(struct client* client) {
  const long idle_ms = (long)(uv_now(&loop) - client->last_ms);
  if (idle_ms >= IDLE_MAX_MS) {
    finish(client);
    return;
  }
  if (!liveswap_draining() || client->writing || client->size > 0) return;
  const int fd = duplicate(client);
  if (fd < 0) return;
  if (liveswap_close_idle(fd, idle_ms) == 0) {
    forget(client);
  } else {
    close(fd); /* not idle, or a request has just arrived */
  }
}

static void on_timer(uv_timer_t* handle) {
  for (struct client *client = clients, *next; client != NULL; client = next) {
    next = client->next;
    look_at(client);
  }
  if (!uv_is_closing((uv_handle_t*)&listener) || clients != NULL) return;
  uv_close((uv_handle_t*)handle, NULL);
  uv_close((uv_handle_t*)&heart, NULL);
}

/* Without `--liveness heartbeat` called once. A thread with a timer would be no use here: it would go on
 * while the loop hangs. */
static void on_heart(uv_timer_t* handle) {
  const int next_ms = liveswap_heartbeat();
  if (next_ms >= 0) uv_timer_start(handle, on_heart, (uint64_t)next_ms, 0);
}

static void on_drain(uv_poll_t* handle, int status, int events) {
  (void)status, (void)events;
  uv_close((uv_handle_t*)handle, NULL);
  uv_close((uv_handle_t*)&listener, NULL);
  uv_timer_start(&timer, on_timer, 0, LOOK_EVERY_DRAINING_MS);
}

int liveswap_main(int fd) {
  listener_fd = fd;
  if (uv_loop_init(&loop) != 0 || uv_poll_init(&loop, &listener, fd) != 0 ||
      uv_poll_init(&loop, &drain, liveswap_drain_fd()) != 0 || uv_timer_init(&loop, &timer) != 0 ||
      uv_timer_init(&loop, &heart) != 0) {
    liveswap_log(LIVESWAP_ERROR, "cannot set up the event loop");
    return 1;
  }
  uv_poll_start(&listener, UV_READABLE, on_connection);
  uv_poll_start(&drain, UV_READABLE, on_drain);
  uv_timer_start(&timer, on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
  on_heart(&heart);
  /* Returns when no handle is left: drained. */
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop) == 0 ? 0 : 1;
}
