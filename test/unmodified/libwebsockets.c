/* libwebsockets as an HTTP server, on its own poll loop. */
#include "http.h"

#include <libwebsockets.h>

static int answer(struct lws* wsi) {
  unsigned char buffer[LWS_PRE + 512];
  unsigned char* const start = buffer + LWS_PRE;
  unsigned char* at = start;
  if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", strlen(VERSION), &at,
                                  buffer + sizeof buffer) != 0 ||
      lws_finalize_write_http_header(wsi, start, &at, buffer + sizeof buffer) != 0)
    return 1;
  lws_callback_on_writable(wsi);
  return 0;
}

static int finish(struct lws* wsi) {
  unsigned char buffer[LWS_PRE + 64];
  const size_t size = strlen(VERSION);
  memcpy(buffer + LWS_PRE, VERSION, size);
  if (lws_write(wsi, buffer + LWS_PRE, size, LWS_WRITE_HTTP_FINAL) != (int)size) return 1;
  return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

static int on_event(struct lws* wsi, enum lws_callback_reasons reason, void* user, void* in, size_t size) {
  switch (reason) {
    case LWS_CALLBACK_HTTP: return answer(wsi);
    case LWS_CALLBACK_HTTP_WRITEABLE: return finish(wsi);
    default: return lws_callback_http_dummy(wsi, reason, user, in, size);
  }
}

PROGRAM int main(int argc, char** argv) {
  static const struct lws_protocols protocols[] = {{.name = "http", .callback = on_event}, {0}};
  struct lws_context_creation_info info = {.port = atoi(argv[argc - 1]),
                                           .iface = "127.0.0.1",
                                           .protocols = protocols,
                                           .options = LWS_SERVER_OPTION_DISABLE_IPV6};
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context* context = lws_create_context(&info);
  if (context == NULL) return 1;
  while (lws_service(context, 0) >= 0) continue;
  return 1;
}
