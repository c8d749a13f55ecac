/*
 * An ordinary HTTP server on libevent (evhttp), which ends by SIGTERM. Contains no code for liveswap.
 *
 *     cc -o server libevent.c -levent && ./server 8080                        # as a program
 *     cc -shared -fPIC -o libserver.so libevent.c -levent                     # as a library
 *     liveswap start ./libserver.so --entry main -- 8080
 *     cc -shared -fPIC -DVERSION=2 -o libserver_v2.so libevent.c -levent
 *     liveswap upgrade ./libserver_v2.so                                      # curl http://127.0.0.1:8080/
 *
 * An old worker gets SIGTERM after its last connection has ended, so on_sigterm is the place for cleanup.
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef VERSION
#define VERSION 1
#endif

static unsigned long answered;

static void on_request(struct evhttp_request* request, void* unused) {
  (void)unused;
  struct evbuffer* body = evbuffer_new();
  evbuffer_add_printf(body, "Hello from version %d, libevent\n", VERSION);
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
  evhttp_send_reply(request, HTTP_OK, "OK", body);
  evbuffer_free(body);
  ++answered;
}

static void on_sigterm(evutil_socket_t number, short events, void* base) {
  (void)number, (void)events;
  event_base_loopbreak(base);
}

int main(int argc, char** argv) {
  const int port = argc > 1 ? atoi(argv[1]) : 8080;
  signal(SIGPIPE, SIG_IGN); /* libevent leaves SIGPIPE to the program: a client may have gone */
  struct event_base* base = event_base_new();
  struct evhttp* server = evhttp_new(base);
  struct event* sigterm = evsignal_new(base, SIGTERM, on_sigterm, base);
  evsignal_add(sigterm, NULL);
  evhttp_set_gencb(server, on_request, NULL);
  if (evhttp_bind_socket(server, "127.0.0.1", (uint16_t)port) != 0) {
    perror("cannot listen");
    return 1;
  }
  event_base_dispatch(base);

  printf("version %d has answered %lu requests\n", VERSION, answered);
  event_free(sigterm);
  evhttp_free(server);
  event_base_free(base);
  return 0;
}
