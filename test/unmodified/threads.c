/* A blocking accept, and a thread for each connection. */
#include "http.h"

#include <pthread.h>

static void* serve(void* context) {
  struct client* client = context;
  while (serve_once(client)) continue;
  close(client->fd);
  free(client);
  return NULL;
}

static void* accept_all(void* context) {
  const int listener = *(const int*)context;
  for (;;) {
    struct client* client = calloc(1, sizeof *client);
    pthread_t thread;
    client->fd = accept(listener, NULL, NULL);
    if (client->fd < 0 || pthread_create(&thread, NULL, serve, client) != 0) {
      free(client);
      continue;
    }
    pthread_detach(thread);
  }
  return NULL;
}

PROGRAM int main(int argc, char** argv) {
  static int listeners[8];
  pthread_t thread;
  for (int i = 1; i < argc && i < 9; ++i) listeners[i - 1] = listen_at(argv[i], 0);
  for (int i = 2; i < argc && i < 9; ++i) pthread_create(&thread, NULL, accept_all, &listeners[i - 1]);
  accept_all(&listeners[0]);
  return 0;
}
