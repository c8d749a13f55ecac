/* civetweb: one thread accepts, a pool of threads serves. */
#include "http.h"

#include <civetweb.h>

static int on_request(struct mg_connection* connection) {
  mg_send_http_ok(connection, "text/plain", (long long)strlen(VERSION));
  mg_write(connection, VERSION, strlen(VERSION));
  return 200;
}

PROGRAM int main(int argc, char** argv) {
  char where[64];
  snprintf(where, sizeof where, "127.0.0.1:%s", argv[argc - 1]);
  const char* options[] = {"listening_ports",
                           where,
                           "num_threads",
                           "32",
                           "enable_keep_alive",
                           "yes",
                           "keep_alive_timeout_ms",
                           "10000",
                           "tcp_nodelay",
                           "1",
                           NULL};
  mg_init_library(0);
  // A callback is there before mg_start() listens. mg_set_request_handler() needs the context that mg_start()
  // returns: a request that comes in between gets a 404.
  const struct mg_callbacks callbacks = {.begin_request = on_request};
  if (mg_start(&callbacks, NULL, options) == NULL) return 1;
  for (;;) pause();
}
