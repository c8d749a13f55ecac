/* Releases that load, and do what will bite some day: one for each -DBITES_…. */
#include <liveswap_plugin.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#if defined BITES_STATIC_TLS
static __thread int counter __attribute__((tls_model("initial-exec")));
#elif defined BITES_TEXT_RELOCATIONS
/* The address of a function amid the code, as an assembler file without PIC has it. */
__asm__(".text\n.globl here\n.hidden here\nhere: .quad here\n");
#elif defined BITES_ORIGIN || defined BITES_OUTSIDE
int liveswap_test_private(void);
#elif defined BITES_EXIT_CRASH
__attribute__((destructor)) static void end(void) { raise(SIGSEGV); }
#elif defined BITES_EXIT_STATUS
__attribute__((destructor)) static void end(void) { _exit(3); }
#elif defined BITES_THREADS
static void* wait(void* unused) {
  for (;;) pause();
  return unused;
}
__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  for (int i = 0; i < 2; ++i) {
    if (pthread_create(&thread, NULL, wait, NULL) == 0) pthread_detach(thread);
  }
}
#elif defined BITES_PROCESS || defined BITES_DAEMON
__attribute__((constructor)) static void begin(void) {
  if (fork() != 0) return;
#if defined BITES_DAEMON
  setsid();
#endif
  alarm(5);
  for (;;) pause();
}
#endif

/* As an application by the contract does: nothing here is run, but check looks for it. */
__attribute__((unused)) static int serve(void) { return pause(); }

#if defined BITES_HIDDEN
/* Compiled without the header's declaration, as it were. */
__attribute__((used)) static int hidden(int fd) __asm__("liveswap_main");
static int hidden(int fd) { return fd + serve(); }
#else
int liveswap_main(int fd) {
#if defined BITES_STATIC_TLS
  return fd + ++counter + serve();
#elif defined BITES_ORIGIN || defined BITES_OUTSIDE
  return fd + liveswap_test_private() + serve();
#elif defined BITES_RETURNS
  return fd;
#else
  return fd + serve();
#endif
}
#endif
