/*
 * An ordinary HTTP server on libuv. It also shows the other way to become an application of liveswap: not by
 * `--entry main`, but by a liveswap_main of one line (at the end) that calls the old main.
 *
 *     cc -o server libuv.c -luv && ./server 8080                              # as a program
 *     cc -shared -fPIC -o libserver.so libuv.c -luv                           # as a library
 *     liveswap start ./libserver.so -- 8080
 *     cc -shared -fPIC -DVERSION=2 -o libserver_v2.so libuv.c -luv
 *     liveswap upgrade ./libserver_v2.so                                      # curl http://127.0.0.1:8080/
 */
#define _GNU_SOURCE 1 /* memmem, strcasestr */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define LIVESWAP_WEAK /* the program can be linked, too */
#include <liveswap_plugin.h>

#ifndef VERSION
#define VERSION 1
#endif

struct client {
  uv_tcp_t tcp; /* first member: has the address of the client */
  uv_write_t write;
  int last; /* the answer being sent is the last one */
  size_t filled;
  char request[8192], answer[256];
};

static void on_closed(uv_handle_t* tcp) { free(tcp); }

static void on_written(uv_write_t* write, int status);

/* Closes the connection, or answers the first complete request; reads no further ones meanwhile. */
static void go_on(struct client* client, int ended) {
  char body[64], *end = memmem(client->request, client->filled, "\r\n\r\n", 4);
  if (ended || (end == NULL && client->filled == sizeof client->request))
    uv_close((uv_handle_t*)client, on_closed);
  if (ended || end == NULL) return;
  *end = '\0';
  client->last = strcasestr(client->request, "\nConnection: close") != NULL;
  client->filled -= (size_t)(end + 4 - client->request);
  memmove(client->request, end + 4, client->filled);
  const int length = snprintf(body, sizeof body, "Hello from version %d, libuv\n", VERSION);
  const int size = snprintf(client->answer, sizeof client->answer,
                            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n%s",
                            length, client->last ? "Connection: close\r\n" : "", body);
  const uv_buf_t text = uv_buf_init(client->answer, (unsigned)size);
  uv_read_stop((uv_stream_t*)client);
  uv_write(&client->write, (uv_stream_t*)client, &text, 1, on_written);
}

static void give_buffer(uv_handle_t* tcp, size_t suggested, uv_buf_t* buffer) {
  struct client* client = (struct client*)tcp;
  (void)suggested;
  *buffer =
      uv_buf_init(client->request + client->filled, (unsigned)(sizeof client->request - client->filled));
}

static void on_read(uv_stream_t* tcp, ssize_t size, const uv_buf_t* unused) {
  struct client* client = (struct client*)tcp;
  (void)unused;
  if (size > 0) client->filled += (size_t)size;
  go_on(client, size < 0);
}

static void on_written(uv_write_t* write, int status) {
  struct client* client = (struct client*)write->handle;
  uv_read_start((uv_stream_t*)client, give_buffer, on_read);
  go_on(client, status < 0 || client->last);
}

static void on_connection(uv_stream_t* listener, int status) {
  struct client* client = status == 0 ? calloc(1, sizeof *client) : NULL;
  if (client == NULL) return;
  uv_tcp_init(listener->loop, &client->tcp);
  if (uv_accept(listener, (uv_stream_t*)client) == 0)
    uv_read_start((uv_stream_t*)client, give_buffer, on_read);
}

int main(int argc, char** argv) {
  uv_tcp_t listener;
  struct sockaddr_in address;
  signal(SIGPIPE, SIG_IGN); /* libuv leaves SIGPIPE to the program: a client may have gone */
  uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 8080, &address);
  uv_tcp_init(uv_default_loop(), &listener);
  int failed = uv_tcp_bind(&listener, (struct sockaddr*)&address, 0);
  if (failed == 0) failed = uv_listen((uv_stream_t*)&listener, 1024, on_connection);
  if (failed == 0) return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  fprintf(stderr, "cannot listen: %s\n", uv_strerror(failed));
  return 1;
}

/* `fd` is a listener of `liveswap start --listen`; this server binds its own. */
int liveswap_main(int fd) { return (void)fd, main(liveswap_argc(), liveswap_argv()); }
