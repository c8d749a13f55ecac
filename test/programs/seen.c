/* A program as it is: answers each request with what it sees of itself and of its surroundings, as lines
 * "name value". With -DEARLY its allocator calls functions of libc before any constructor has run, as
 * jemalloc's does. The title is written over the arguments and variables, as nginx and others do. */
#include "../unmodified/http.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char** environ;

static char text[64 * 1024];
static size_t text_size;

static __attribute__((format(printf, 2, 3))) void add(const char* name, const char* format, ...) {
  va_list arguments;
  text_size += (size_t)snprintf(text + text_size, sizeof text - text_size, "%s ", name);
  va_start(arguments, format);
  text_size += (size_t)vsnprintf(text + text_size, sizeof text - text_size, format, arguments);
  va_end(arguments);
  text_size += (size_t)snprintf(text + text_size, sizeof text - text_size, "\n");
}

static void add_file(const char* name, const char* path) {
  static char bytes[32 * 1024];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = read(fd, bytes, sizeof bytes - 1);
  close(fd);
  while (size > 0 && bytes[size - 1] == '\0') --size;
  for (ssize_t i = 0; i < size; ++i)
    if (bytes[i] == '\0' || bytes[i] == '\n') bytes[i] = '|';
  bytes[size < 0 ? 0 : size] = '\0';
  add(name, "%s", bytes);
}

static void add_variables(const char* name, char** list) {
  for (; *list != NULL; ++list)
    if (strncmp(*list, "LD_", 3) == 0 || strstr(*list, "LIVESWAP") != NULL || strncmp(*list, "SEEN", 4) == 0)
      add(name, "%s", *list);
}

/* What a program that this one starts gets. */
static void add_of_child(void) {
  char bytes[4096];
  FILE* const pipe = popen("env | grep -E '^(LD_|LIVESWAP|SEEN)' | sort | tr '\\n' '|'", "r");
  const size_t size = pipe == NULL ? 0 : fread(bytes, 1, sizeof bytes - 1, pipe);
  bytes[size] = '\0';
  if (pipe != NULL) pclose(pipe);
  add("child", "%s", bytes);
}

/* Programs look for the auxiliary vector behind the variables (Go does). AT_NULL ends it. */
static void add_auxiliary(char** envp) {
  while (*envp != NULL) ++envp;
  const unsigned long* const entry = (const unsigned long*)(envp + 1);
  add("auxiliary", "%s", entry[0] <= 64 ? "well" : "damaged");
}

static void look(int argc, char** argv, char** envp) {
  char path[4096];
  for (int i = 0; i < argc; ++i) add("argument", "%s", argv[i]);
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
  path[size > 0 ? size : 0] = '\0';
  add("exe", "%s", path);
  add_file("comm", "/proc/self/comm");
  add_file("cmdline", "/proc/self/cmdline");
  add_variables("variable", environ);
  add_variables("parameter", envp);
  add("same", "%s", environ == envp ? "yes" : "no");
  add_auxiliary(envp);
  add_of_child();
}

/* As setproctitle(3) of many programs: the arguments and the variables behind them lie in one piece. */
static void set_title(int argc, char** argv) {
  char* end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
  for (char** one = environ; *one != NULL && *one == end; ++one) end += strlen(*one) + 1;
  for (char** one = environ; *one != NULL; ++one) *one = strdup(*one);
  for (int i = 1; i < argc; ++i) argv[i] = strdup(argv[i]);
  memset(argv[0], 0, (size_t)(end - argv[0]));
  snprintf(argv[0], (size_t)(end - argv[0]), "seen: serving");
}

#ifdef EARLY
static char heap[16 * 1024 * 1024];
static size_t heap_size;
static int calls;

/* What jemalloc and tcmalloc call at their first allocation. */
static void call_libc(void) {
  char byte = 0;
  if (calls++ > 0) return;
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (syscall(SYS_read, fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1) ++calls;
  struct pollfd wait = {fd, POLLIN, 0};
  poll(&wait, 1, 0);
  fcntl(fd, F_GETFD);
  prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  close(fd);
}

PROGRAM void* malloc(size_t size) {
  call_libc();
  const size_t at = (heap_size + 15) & ~(size_t)15;
  heap_size = at + 16 + size;
  if (heap_size > sizeof heap) abort();
  *(size_t*)(void*)(heap + at) = size;
  return heap + at + 16;
}
PROGRAM void free(void* place) { (void)place; }
PROGRAM void* calloc(size_t count, size_t size) { return memset(malloc(count * size), 0, count * size); }
PROGRAM void* realloc(void* place, size_t size) {
  void* const fresh = malloc(size);
  const size_t before = place == NULL ? 0 : *(size_t*)(void*)((char*)place - 16);
  return place == NULL ? fresh : memcpy(fresh, place, before < size ? before : size);
}

static void* nothing(void* context) { return context; }

__attribute__((constructor)) static void early(void) {
  pthread_t thread;
  signal(SIGUSR2, SIG_IGN);
  if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
}
#endif

int main(int argc, char** argv, char** envp) {
  const int listener = listen_at(argv[argc - 1], 0);
  look(argc, argv, envp);
  set_title(argc, argv);
  add_file("title", "/proc/self/cmdline");
  for (;;) {
    char request[4096];
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    if (recv(fd, request, sizeof request, 0) > 0) {
      dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", text_size);
      for (size_t sent = 0; sent < text_size;) {
        const ssize_t size = send(fd, text + sent, text_size - sent, MSG_NOSIGNAL);
        if (size <= 0) break;
        sent += (size_t)size;
      }
    }
    close(fd);
  }
}
