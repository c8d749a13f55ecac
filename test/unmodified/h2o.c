/* libh2o on libuv, HTTP/1.1. */
#include "http.h"

#include <uv.h>

#include <h2o.h>

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accepting;

static int on_request(h2o_handler_t* unused, h2o_req_t* request) {
  (void)unused;
  static h2o_generator_t generator = {NULL, NULL};
  h2o_iovec_t body = h2o_iovec_init(VERSION, strlen(VERSION));
  request->res.status = 200;
  request->res.reason = "OK";
  request->res.content_length = body.len;
  h2o_start_response(request, &generator);
  h2o_send(request, &body, 1, 1);
  return 0;
}

static void forget(uv_handle_t* handle) { free(handle); }

static void on_connection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  uv_tcp_t* connection = h2o_mem_alloc(sizeof *connection);
  uv_tcp_init(listener->loop, connection);
  if (uv_accept(listener, (uv_stream_t*)connection) != 0) uv_close((uv_handle_t*)connection, forget);
  else h2o_accept(&accepting, h2o_uv_socket_create((uv_stream_t*)connection, forget));
}

PROGRAM int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  uv_tcp_t listener;
  struct sockaddr_in address;
  h2o_config_init(&config);
  h2o_hostconf_t* host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
  h2o_pathconf_t* path = h2o_config_register_path(host, "/", 0);
  h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_request;
  h2o_context_init(&context, uv_default_loop(), &config);
  accepting = (h2o_accept_ctx_t){.ctx = &context, .hosts = config.hosts};
  uv_ip4_addr("127.0.0.1", atoi(argv[argc - 1]), &address);
  uv_tcp_init(context.loop, &listener);
  if (uv_tcp_bind(&listener, (struct sockaddr*)&address, 0) != 0 ||
      uv_listen((uv_stream_t*)&listener, 1024, on_connection) != 0)
    return 1;
  return uv_run(context.loop, UV_RUN_DEFAULT);
}
