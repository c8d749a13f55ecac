/* Existing servers, built as libraries: one for each -DSERVER_…. None of them is ever run. */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined SERVER_BY_LIBRARY
int liveswap_test_binder(void);
#elif defined SERVER_OWN_NAMES || defined SERVER_SYMBOLIC
int listen(int fd, int backlog) { return fd + backlog; }
#elif defined SERVER_HIDDEN_NAMES
__attribute__((visibility("hidden"), noinline)) int listen(int fd, int backlog) { return fd + backlog; }
#elif defined SERVER_STATIC_NAMES
__attribute__((noinline)) static int close_it(int fd) __asm__("shutdown");
static int close_it(int fd) { return close(fd); }
#elif defined SERVER_GO
__asm__(".section .note.go.buildid,\"a\"\n.long 0\n.previous\n");
#elif defined SERVER_URING
__attribute__((weak)) int io_uring_queue_init(unsigned entries, void* ring, unsigned flags);
#elif defined SERVER_DRAINS
__attribute__((weak)) int liveswap_draining(void);
#endif

#if defined SERVER_BINDER
__attribute__((visibility("default"))) int liveswap_test_binder(void) {
#else
int main(void) {
#endif
  int fd = -1;
#if defined SERVER_BY_LIBRARY
  fd = liveswap_test_binder();
#elif defined SERVER_GO || defined SERVER_NONE
  fd = dup(0);
#else
const struct sockaddr_in address = {.sin_family = AF_INET};
fd = socket(AF_INET, SOCK_STREAM, 0);
if (bind(fd, (const struct sockaddr*)&address, sizeof address) != 0 || listen(fd, 1) != 0) return 1;
#endif
#if defined SERVER_DAEMON
  if (daemon(0, 0) != 0) return 1;
#elif defined SERVER_SESSION
  if (fork() == 0) setsid();
#elif defined SERVER_PREFORK
for (int i = 0; i < 2 && fork() != 0; ++i) continue;
#elif defined SERVER_EACH
fd = accept(fd, NULL, NULL);
if (fork() == 0) _exit(fd);
#elif defined SERVER_SPAWNS
if (fork() == 0) execl("/bin/true", "true", (char*)0);
#elif defined SERVER_URING
if (io_uring_queue_init) fd += io_uring_queue_init(8, &fd, 0);
#elif defined SERVER_STATIC_NAMES
fd += close_it(fd);
#elif defined SERVER_DRAINS
if (liveswap_draining) fd += liveswap_draining();
#endif
  return fd;
}
