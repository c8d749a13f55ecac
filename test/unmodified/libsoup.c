/* libsoup 3 on GLib's main loop. */
#include "http.h"

#include <libsoup/soup.h>

static void on_request(SoupServer* server, SoupServerMessage* message, const char* path, GHashTable* query,
                       gpointer unused) {
  (void)server, (void)path, (void)query, (void)unused;
  soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response(message, "text/plain", SOUP_MEMORY_STATIC, VERSION, strlen(VERSION));
}

PROGRAM int main(int argc, char** argv) {
  GError* error = NULL;
  SoupServer* server = soup_server_new(NULL, NULL);
  GSocketAddress* address = g_inet_socket_address_new_from_string("127.0.0.1", (guint)atoi(argv[argc - 1]));
  soup_server_add_handler(server, NULL, on_request, NULL, NULL);
  if (!soup_server_listen(server, address, 0, &error)) {
    fprintf(stderr, "%s\n", error->message);
    return 1;
  }
  g_main_loop_run(g_main_loop_new(NULL, FALSE));
  return 0;
}
