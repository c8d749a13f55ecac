/* Releases that load, and that have a property which causes trouble later: one for each -DBITES_…. */
#define _GNU_SOURCE 1 /* close_range */
#include <liveswap_plugin.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined BITES_STATIC_TLS
static __thread int counter __attribute__((tls_model("initial-exec")));
#elif defined BITES_TEXT_RELOCATIONS
/* The address of a function within the code, as assembler code without PIC has it. */
__asm__(".text\n.globl here\n.hidden here\nhere: .quad here\n");
#elif defined BITES_ORIGIN || defined BITES_OUTSIDE
int liveswap_test_private(void);
#elif defined BITES_EXIT_CRASH
__attribute__((destructor)) static void end(void) { raise(SIGSEGV); }
#elif defined BITES_EXIT_STATUS
__attribute__((destructor)) static void end(void) { _exit(3); }
#elif defined BITES_THREADS
static void* rest(void* unused) {
  for (;;) pause();
  return unused;
}
__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  for (int i = 0; i < 2; ++i) {
    if (pthread_create(&thread, NULL, rest, NULL) == 0) pthread_detach(thread);
  }
}
#elif defined BITES_PROCESS
__attribute__((constructor)) static void begin(void) {
  if (fork() != 0) return;
  alarm(60);
  for (;;) pause();
}
#elif defined BITES_DAEMON
/* As a daemon does: a child of init in a session of its own, without the descriptors of its starter. */
__attribute__((constructor)) static void begin(void) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    close_range(0, ~0U, 0);
    alarm(60);
    for (;;) pause();
  }
  waitpid(child, NULL, 0);
}
#elif defined BITES_FLOOD
/* Threads that write to the channel and to standard output as fast as they can, without end. */
static void* flood(void* to) {
  static const char frame[64];
  for (;;) {
    if (write(to != NULL ? 1 : 3, frame, sizeof frame) < 0) sched_yield();
  }
  return NULL;
}
__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  for (int i = 0; i < 50; ++i) pthread_create(&thread, NULL, flood, NULL);
  for (int i = 0; i < 50; ++i) pthread_create(&thread, NULL, flood, (void*)1);
  for (;;) pause();
}
#elif defined BITES_NAME
/* A short mangled name with a huge demangled form: each part doubles the parts before it. */
void bomb(void) __asm__(
    "_Z1fPK1PIS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IiiES0_ES1_ES2_"
    "ES3_ES4_ES5_ES6_"
    "ES7_ES8_ES9_ESA_ESB_ESC_ESD_ESE_ESF_ESG_ESH_ESI_ESJ_ESK_ESL_ESM_ESN_ESO_ESP_E");
#endif

/* Makes the library look like an application by the contract. Never called; the check finds the call of
 * pause(). */
__attribute__((unused)) static int serve(void) { return pause(); }

#if defined BITES_HIDDEN
/* As if compiled without the header's declaration. */
__attribute__((used)) static int hidden(int fd) __asm__("liveswap_main");
static int hidden(int fd) { return fd + serve(); }
#else
int liveswap_main(int fd) {
#if defined BITES_STATIC_TLS
  return fd + ++counter + serve();
#elif defined BITES_ORIGIN || defined BITES_OUTSIDE
  return fd + liveswap_test_private() + serve();
#elif defined BITES_NAME
  bomb();
  return fd + serve();
#elif defined BITES_RETURNS
  return fd;
#else
  return fd + serve();
#endif
}
#endif
