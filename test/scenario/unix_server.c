/*
 * An ordinary server at a Unix socket. Arguments: the path; how the path is bound: `at` (directly), or `tmp`
 * or `pid` (as PATH.tmp or PATH.<pid>, which is then renamed); and what the SIGTERM handler does with the
 * path: `unlink`, `rm` (by a program), `all` (by a program: the path, and every hidden link beside it), or
 * `keep`.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char** words;

static void leave(int number) {
  char command[512];
  (void)number;
  const char* format =
      strcmp(words[3], "rm") == 0 ? "rm -f '%1$s'" : "rm -f '%1$s' \"$(dirname '%1$s')\"/.*.liveswap";
  if (strcmp(words[3], "unlink") == 0) unlink(words[1]);
  if (strcmp(words[3], "rm") == 0 || strcmp(words[3], "all") == 0) {
    snprintf(command, sizeof command, format, words[1]);
    if (system(command) != 0) _exit(1);
  }
  signal(SIGTERM, SIG_DFL);
  raise(SIGTERM);
}

static void* serve(void* context) {
  const int fd = (int)(long)context;
  char in[4096];
  char out[256];
  for (ssize_t got = 0; (got = read(fd, in, sizeof in - 1)) > 0;) {
    in[got] = '\0';
    const int size = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                              strlen(VERSION), VERSION);
    if (send(fd, out, (size_t)size, MSG_NOSIGNAL) != size || strcasestr(in, "connection: close") != NULL)
      break;
  }
  close(fd);
  return NULL;
}

__attribute__((visibility("default"))) int main(int argc, char** argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  pthread_t thread;
  if (argc != 4) return 2;
  words = argv;
  signal(SIGTERM, leave);
  if (strcmp(argv[2], "at") == 0) snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[1]);
  else if (strcmp(argv[2], "tmp") == 0)
    snprintf(address.sun_path, sizeof address.sun_path, "%s.tmp", argv[1]);
  else snprintf(address.sun_path, sizeof address.sun_path, "%s.%d", argv[1], (int)getpid());
  unlink(address.sun_path);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  const int is_bound = bind(listener, (struct sockaddr*)&address, sizeof address) == 0;
  /* The program of a leaving worker may remove the file at this moment. */
  const int has_mode = chmod(address.sun_path, 0666) == 0 || (errno == ENOENT && words[3][0] != 'u');
  if (!is_bound || !has_mode || listen(listener, 128) != 0 ||
      (strcmp(argv[2], "at") != 0 && rename(address.sun_path, argv[1]) != 0)) {
    perror(address.sun_path);
    return 1;
  }
  for (;;) {
    const int fd = accept(listener, NULL, NULL);
    if (fd >= 0 && pthread_create(&thread, NULL, serve, (void*)(long)fd) == 0) pthread_detach(thread);
  }
}
