#include "libc.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

struct libc libc;

/* Constructors of other libraries run before main() and may already call these functions. */
static void set_up_first(int count, char** words, char** environment) {
  (void)count, (void)words, (void)environment;
  libc_setup();
}
__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char**,
                                                                            char**) = set_up_first;

bool libc_setup(void) {
  static const struct {
    const char* name;
    size_t place;
  } table[] = {
#define REAL(name) {#name, offsetof(struct libc, name)}
      REAL(bind),        REAL(listen),     REAL(connect),         REAL(accept),       REAL(accept4),
      REAL(shutdown),    REAL(setsockopt), REAL(close),           REAL(close_range),  REAL(dup),
      REAL(dup2),        REAL(dup3),       REAL(fcntl),           REAL(ioctl),        REAL(poll),
      REAL(ppoll),       REAL(select),     REAL(pselect),         REAL(epoll_ctl),    REAL(unlink),
      REAL(unlinkat),    REAL(remove),     REAL(syscall),         REAL(rename),       REAL(renameat),
      REAL(renameat2),   REAL(epoll_wait), REAL(epoll_pwait),     REAL(epoll_pwait2), REAL(pthread_create),
      REAL(thrd_create), REAL(prctl),      REAL(pthread_sigmask), REAL(sigaction),    REAL(signal),
      REAL(read),        REAL(recv),       REAL(readv),           REAL(recvmsg),      REAL(recvfrom),
      REAL(write),       REAL(send),       REAL(writev),          REAL(sendmsg),      REAL(sendto),
      REAL(sendmmsg),    REAL(sendfile64), REAL(splice),          REAL(vdprintf),     REAL(__vdprintf_chk),
      REAL(__read_chk),  REAL(__recv_chk), REAL(__recvfrom_chk),  REAL(exit),         REAL(_exit),
      REAL(daemon),      REAL(setsid),
#undef REAL
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i) {
    void* const found = dlsym(RTLD_NEXT, table[i].name);
    if (found == NULL) return false;
    /* As in load.c: ISO C has no cast from an object pointer to a function pointer. */
    memcpy((char*)&libc + table[i].place, &found, sizeof found);
  }
  return true;
}
