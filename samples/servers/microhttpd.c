/*
 * An ordinary HTTP server on libmicrohttpd, which has its own thread (epoll) and leaves main to wait for
 * SIGTERM. Contains no code for liveswap.
 *
 *     cc -o server microhttpd.c -lmicrohttpd && ./server 8080                 # as a program
 *     cc -shared -fPIC -o libserver.so microhttpd.c -lmicrohttpd              # as a library
 *     liveswap start ./libserver.so --entry main -- 8080
 *     cc -shared -fPIC -DVERSION=2 -o libserver_v2.so microhttpd.c -lmicrohttpd
 *     liveswap upgrade ./libserver_v2.so                                      # curl http://127.0.0.1:8080/
 */
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION 1
#endif

static volatile sig_atomic_t stopped;

static void on_sigterm(int number) {
  (void)number;
  stopped = 1;
}

static enum MHD_Result on_request(void* unused, struct MHD_Connection* connection, const char* url,
                                  const char* method, const char* version, const char* upload,
                                  size_t* upload_size, void** seen) {
  static const int begun = 1;
  (void)unused, (void)url, (void)version, (void)upload;
  if (strcmp(method, "GET") != 0) return MHD_NO;
  if (*seen == NULL) { /* first call: headers; second: the complete request */
    *seen = (void*)&begun;
    return MHD_YES;
  }
  *upload_size = 0;
  char body[64];
  const int length = snprintf(body, sizeof body, "Hello from version %d, libmicrohttpd\n", VERSION);
  struct MHD_Response* response =
      MHD_create_response_from_buffer((size_t)length, body, MHD_RESPMEM_MUST_COPY);
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
  const enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  return result;
}

int main(int argc, char** argv) {
  const int port = argc > 1 ? atoi(argv[1]) : 8080;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

  /* Blocked except in main's wait: never missed, and never delivered to another thread. */
  sigset_t sigterm, before;
  sigemptyset(&sigterm);
  sigaddset(&sigterm, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &sigterm, &before);
  const struct sigaction action = {.sa_handler = on_sigterm};
  sigaction(SIGTERM, &action, NULL);

  struct MHD_Daemon* daemon = MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, (uint16_t)port, NULL, NULL, on_request, NULL,
      MHD_OPTION_SOCK_ADDR, (struct sockaddr*)&address, MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_END);
  if (daemon == NULL) return 1;
  while (!stopped) sigsuspend(&before);
  MHD_stop_daemon(daemon);
  return 0;
}
