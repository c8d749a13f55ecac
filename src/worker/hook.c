/*
 * liveswap-hook.so: the worker host inside of a program that was executed. liveswap-worker names this library
 * in LD_PRELOAD, so the dynamic loader puts it into the program before libc. The library has all layers of
 * the worker host; its functions with names of libc's come before libc's, as those of liveswap-worker come
 * for a plugin.
 *
 * 1. The loader calls first() before all other constructors (-z initfirst). It takes the variables for the
 * hook, and the hook's name in LD_PRELOAD, out of the environment, so that neither the program nor the
 * programs that it starts see them.
 * 2. The program's start calls __libc_start_main(), which is defined here: it calls libc's with run() in
 * place of the program's main().
 * 3. run() sets up what main.c sets up, and calls the program's main().
 *
 * Without these variables, as in a program that a worker starts with the hook's name in LD_PRELOAD, the
 * library does nothing: its functions call libc's.
 *
 * A program may write over the memory of its arguments and variables, to change its title: everything that is
 * needed later is copied.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "contract/channel.h"
#include "execute.h"
#include "liveswap_plugin.h"
#include "worker.h"
#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
#include "worker/base/environment.h"
#include "worker/base/libc.h"
#include "worker/base/options.h"
#include "worker/base/proc_self.h"
#include "worker/control/words.h"
#include "worker/link/channel.h"
#include "worker/link/output.h"

typedef int main_function(int argc, char** argv, char** envp);

static main_function* program_main;
/* Copies of the variables for the hook; NULL: this process is no worker. */
static char* release;
static char* words;
static char* words_ends; /* control/words.h; NULL: the application has none */

static _Noreturn void refuse(const char* why) {
  dprintf(STDERR_FILENO, "liveswap-hook: %s\n", why);
  libc._exit(LIVESWAP_EXIT_USAGE);
}

/* Not malloc(): the program's own may not be ready yet. */
static char* copy_of(const char* text) {
  const size_t size = strlen(text) + 1;
  void* const place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return place == MAP_FAILED ? NULL : memcpy(place, text, size);
}

/* The hook is the first part of the value. */
static void leave_preload(char** environment) {
  char* const value = environment_value(environment, "LD_PRELOAD");
  char* const rest = value == NULL ? NULL : strchr(value, ':');
  if (rest == NULL) {
    environment_remove(environment, "LD_PRELOAD");
    return;
  }
  const size_t size = strlen(rest + 1);
  const size_t before = strlen(value);
  memmove(value, rest + 1, size + 1);
  memset(value + size, 0, before - size);
}

__attribute__((constructor)) static void first(int argc, char** argv, char** environment) {
  (void)argc, (void)argv;
  const char* const text = environment_value(environment, LIVESWAP_WORKER_VARIABLE);
  const char* const path = environment_value(environment, HOOK_RELEASE);
  if (text == NULL || path == NULL) return;
  words = copy_of(text);
  release = copy_of(path);
  environment_remove(environment, LIVESWAP_WORKER_VARIABLE);
  environment_remove(environment, HOOK_RELEASE);
  const char* const ends = environment_value(environment, HOOK_WORDS);
  words_ends = ends == NULL ? NULL : copy_of(ends);
  environment_remove(environment, HOOK_WORDS);
  leave_preload(environment);
  environment_hide_needed(environment, path);
}

/* liveswap_argv(): the path of the release, and the arguments behind it. */
static char** copy_arguments(int argc, char** argv) {
  char** const copies = calloc((size_t)argc + 2, sizeof *copies);
  for (int i = 0; copies != NULL && i < argc; ++i) copies[i] = copy_of(argv[i]);
  return copies;
}

static void adopt(struct options* options, int argc, char** argv) {
  char** const arguments = copy_arguments(argc, argv);
  char* only_path[] = {release, NULL};
  if (!libc_setup()) refuse("this libc lacks a function that it needs");
  if (words == NULL || release == NULL || arguments == NULL) refuse("no memory");
  if (!options_parse_text(options, words, 1, only_path)) refuse("unknown words from the master");
  options->arguments = arguments;
  options->argument_count = argc;
  options->is_program = true;
  options->entry = "main";
  if (!proc_self_setup()) refuse("it needs /proc");
  if (!channel_adopt()) refuse("no channel at descriptor 3");
  output_adopt();
  if (!listeners_adopt(options->listeners)) refuse("a listener is missing");
}

/* Both ends have come through the exec, and close at the next one. */
static void take_words(void) {
  int of_host = -1;
  int of_script = -1;
  if (words_ends == NULL || sscanf(words_ends, "%d %d", &of_host, &of_script) != 2) return;
  libc.fcntl(of_host, F_SETFD, FD_CLOEXEC);
  libc.fcntl(of_script, F_SETFD, FD_CLOEXEC);
  words_setup(of_host);
}

static int run(int argc, char** argv, char** environment) {
  static struct options options;
  if (release == NULL) return program_main(argc, argv, environment);
  output_by_lines();
  adopt(&options, argc, argv);
  worker_choose_keepalive(&options, false);
  take_words();
  worker_set_up(&options);
  worker_take_over(&options);
  worker_enter(&options, NULL);
  /* Nothing else shows that a program which knows nothing of liveswap is ready. */
  if (!options.awaits_nothing) readiness_await();
  readiness_enter(false);
  return worker_finish(&options, program_main(argc, argv, environment));
}

typedef int start_function(main_function* main, int argc, char** argv, void (*init)(void), void (*end)(void),
                           void (*loader_end)(void), void* stack_end);

__attribute__((visibility("default"))) int __libc_start_main(main_function* main, int argc, char** argv,
                                                             void (*init)(void), void (*end)(void),
                                                             void (*loader_end)(void), void* stack_end) {
  start_function* start = NULL;
  void* const found = dlsym(RTLD_NEXT, "__libc_start_main");
  if (found == NULL) refuse("this libc has no __libc_start_main()");
  /* As in load.c: ISO C has no cast for this. */
  memcpy(&start, &found, sizeof found);
  program_main = main;
  return start(run, argc, argv, init, end, loader_end, stack_end);
}
