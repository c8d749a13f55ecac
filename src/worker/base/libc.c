#include "libc.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/*
 * Every pointer begins with a function that fills in the table and calls libc's function: constructors of
 * other libraries, and an allocator that the loader calls before any constructor (jemalloc), may call
 * interposed functions before libc_setup().
 */
#define FIRST(type, name, parameters, values) \
  static type first_##name parameters {       \
    libc_setup();                             \
    return libc.name values;                  \
  }
#define FIRST_END(name)                                            \
  static __attribute__((noreturn)) void first_##name(int status) { \
    libc_setup();                                                  \
    libc.name(status);                                             \
  }
#include "libc_first.h"

#define START(name) .name = first_##name
struct libc libc = {
    START(accept),
    START(accept4),
    START(close),
    START(fcntl),
    START(ioctl),
    START(poll),
    START(epoll_ctl),
    START(epoll_wait),
    START(read),
    START(recv),
    START(readv),
    START(recvmsg),
    START(write),
    START(send),
    START(writev),
    START(sendmsg),
    START(recvfrom),
    START(sendto),
    START(sendmmsg),
    START(sendfile64),
    START(splice),
    START(vdprintf),
    START(__vdprintf_chk),
    START(__read_chk),
    START(__recv_chk),
    START(__recvfrom_chk),
    START(bind),
    START(listen),
    START(connect),
    START(shutdown),
    START(setsockopt),
    START(close_range),
    START(dup),
    START(dup2),
    START(dup3),
    START(ppoll),
    START(select),
    START(pselect),
    START(epoll_pwait),
    START(epoll_pwait2),
    START(unlink),
    START(unlinkat),
    START(remove),
    START(rename),
    START(renameat),
    START(renameat2),
    START(syscall),
    START(exit),
    START(_exit),
    START(daemon),
    START(setsid),
    START(pthread_create),
    START(thrd_create),
    START(prctl),
    START(pthread_sigmask),
    START(sigaction),
    START(signal),
};
#undef START

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

/* Also where nothing has called one of the functions before main(): tests then put others into the table. */
__attribute__((constructor)) static void set_up_first(void) { libc_setup(); }
