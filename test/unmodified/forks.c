/* A blocking accept, and a process for each connection, as in socat, dropbear and mini-httpd. */
#include "http.h"

PROGRAM int main(int argc, char** argv) {
  const int listener = listen_at(argc > 1 ? argv[1] : "8080", 0);
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    struct client client = {.fd = accept(listener, NULL, NULL)};
    if (client.fd < 0) continue;
    if (fork() == 0) {
      close(listener);
      while (serve_once(&client)) continue;
      _exit(0);
    }
    close(client.fd);
  }
}
