/*
 * An ordinary HTTP server on libuv. It also shows the other way to become an application of liveswap: not by
 * `--entry main`, but by a liveswap_main of one line (at the end) that calls the old main.
 *
 *     cc -o server libuv.c -luv && ./server 8080                              # the program, as ever
 *     cc -shared -fPIC -o libserver.so libuv.c -luv                           # the same, as a library
 *     liveswap start ./libserver.so -- 8080
 *     cc -shared -fPIC -DVERSION=2 -o libserver_v2.so libuv.c -luv
 *     liveswap upgrade ./libserver_v2.so                                      # curl http://127.0.0.1:8080/
 */
#define _GNU_SOURCE 1 /* strcasestr */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define LIVESWAP_WEAK /* so that the program, too, can be linked */
#include <liveswap_plugin.h>

#ifndef VERSION
#define VERSION 1
#endif

enum { REQUEST_MAX = 8192 };

struct client {
  uv_tcp_t tcp;
  uv_write_t write;
  bool writing, last; /* an answer is under way; it is the last one */
  size_t filled;
  char request[REQUEST_MAX + 1];
  char answer[256];
};

static void on_closed(uv_handle_t* handle) { free(handle->data); }

static void finish(struct client* client) {
  if (!uv_is_closing((uv_handle_t*)&client->tcp)) uv_close((uv_handle_t*)&client->tcp, on_closed);
}

static void serve(struct client* client);

static void on_written(uv_write_t* write, int status) {
  struct client* client = write->data;
  client->writing = false;
  if (status < 0 || client->last)
    finish(client);
  else
    serve(client);
}

/* Answers the first request that is complete; a client may send requests ahead. */
static void serve(struct client* client) {
  char body[64];
  client->request[client->filled] = '\0';
  char* end = strstr(client->request, "\r\n\r\n");
  if (client->writing) return;
  if (end == NULL) {
    if (client->filled == REQUEST_MAX) finish(client);
    return;
  }
  *end = '\0';
  client->last = strcasestr(client->request, "\nConnection: close") != NULL;
  client->filled -= (size_t)(end + 4 - client->request);
  memmove(client->request, end + 4, client->filled);
  const int length = snprintf(body, sizeof body, "Hello from version %d, libuv\n", VERSION);
  const int size = snprintf(client->answer, sizeof client->answer,
                            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n%s", length,
                            client->last ? "Connection: close\r\n" : "", body);
  uv_buf_t text = uv_buf_init(client->answer, (unsigned)size);
  client->writing = true;
  client->write.data = client;
  if (uv_write(&client->write, (uv_stream_t*)&client->tcp, &text, 1, on_written) != 0) finish(client);
}

static void give_buffer(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer) {
  struct client* client = handle->data;
  (void)suggested;
  *buffer = uv_buf_init(client->request + client->filled, (unsigned)(REQUEST_MAX - client->filled));
}

static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  struct client* client = stream->data;
  (void)buffer;
  if (size < 0) {
    finish(client);
  } else {
    client->filled += (size_t)size;
    serve(client);
  }
}

static void on_connection(uv_stream_t* listener, int status) {
  struct client* client = calloc(1, sizeof *client);
  if (status < 0 || client == NULL) {
    free(client);
    return;
  }
  uv_tcp_init(listener->loop, &client->tcp);
  client->tcp.data = client;
  if (uv_accept(listener, (uv_stream_t*)&client->tcp) != 0 ||
      uv_read_start((uv_stream_t*)&client->tcp, give_buffer, on_read) != 0)
    finish(client);
}

int main(int argc, char** argv) {
  uv_tcp_t listener;
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 8080, &address);
  uv_tcp_init(uv_default_loop(), &listener);
  int failed = uv_tcp_bind(&listener, (struct sockaddr*)&address, 0);
  if (failed == 0) failed = uv_listen((uv_stream_t*)&listener, 1024, on_connection);
  if (failed != 0) {
    fprintf(stderr, "cannot listen: %s\n", uv_strerror(failed));
    return 1;
  }
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

/* `fd` is a listener of `liveswap start --listen`; this server binds its own. */
int liveswap_main(int fd) { return (void)fd, main(liveswap_argc(), liveswap_argv()); }
