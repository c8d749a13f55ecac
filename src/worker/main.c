/*
 * liveswap-worker: the process that loads one release of an application and runs it. The master starts it;
 * what it finds is in contract/channel.h, what it offers to the application in liveswap_plugin.h.
 *
 * Nothing but libc is linked, and nothing but the contract is exported (worker.list), so that the
 * application's symbols and libraries are its own. Each file here is one noun of the contract; control.c is
 * the thread that ties them to the master, main.c the path of the application's own thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aside.h"
#include "channel.h"
#include "check.h"
#include "control.h"
#include "count.h"
#include "drain.h"
#include "holds.h"
#include "hook.h"
#include "identity.h"
#include "inbox.h"
#include "linger.h"
#include "listeners.h"
#include "liveswap_plugin.h"
#include "load.h"
#include "options.h"
#include "output.h"
#include "readiness.h"
#include "self.h"
#include "subreaper.h"
#include "takeover/adopt.h"
#include "takeover/calls.h"
#include "takeover/child.h"
#include "takeover/daemon.h"
#include "takeover/intercept.h"
#include "takeover/real.h"
#include "takeover/retire.h"
#include "takeover/sleeper.h"
#include "takeover/stray.h"
#include "takeover/traffic.h"
#include "takeover/uring.h"

static _Noreturn void refuse(const char* why) {
  dprintf(STDERR_FILENO, "liveswap-worker: %s; it is started by liveswap, not by hand\n", why);
  _exit(LIVESWAP_EXIT_USAGE);
}

static void set_up(const struct options* options) {
  identity_assume(options);
  if (!holds_setup() || !drain_setup() || !inbox_setup() || !linger_setup() || !child_setup() ||
      !control_setup(options) || !aside_begin(options)) {
    channel_fail(LIVESWAP_STAGE_SPAWN, "cannot set up the worker: %s", strerror(errno));
  }
}

/* Not `environ`: referring to it would make the host export it. */
static char** environment;

/* liveswap_main gets the first listener; any other entry is a program's main. */
static int enter(const struct options* options, const struct loaded* application) {
  if (strcmp(options->entry, "liveswap_main") == 0)
    return ((int (*)(int))application->entry)(listeners_first());
  return ((int (*)(int, char**, char**))application->entry)(options->argument_count, options->arguments,
                                                            environment);
}

/* Of two such workers the second finds the address in use, before anybody has looked at the first
 * (takeover/stray.h). */
static void hint(const struct options* options, int result) {
  if (result == 0 || options->intercept != INTERCEPT_LIBC || readiness_is_over()) return;
  if (listeners_bound() || listeners_first() >= 0) return;
  liveswap_log(
      LIVESWAP_WARNING,
      "it has not bound a listener by libc's bind(): what makes its system calls itself, as Go, needs "
      "--intercept seccomp");
}

static _Noreturn void worker_run(const struct options* options) {
  calls_take_over();
  sleeper_setup();
  if (options->keepalive == KEEPALIVE_MIGRATE) adopt_begin();
  if (options->keepalive != KEEPALIVE_KEEP) traffic_follow();
  if (options->intercept == INTERCEPT_SECCOMP) intercept_begin();
  const struct loaded application = load(options->path, options->entry);
  if (uring_is_linked(application.library)) aside_stay();
  control_entered();
  stray_watch(options);
  if (strcmp(options->entry, "liveswap_main") == 0) readiness_expect(listeners_find(listeners_first()));
  readiness_enter((application.flags & LIVESWAP_DEFER_READY) != 0);
  aside_await_readiness();
  const int result = enter(options, &application);
  daemon_refuse(result);
  aside_come_in();
  hint(options, result);
  output_flush(); /* the master shows it with what it says of the return */
  channel_send_value(LIVESWAP_RETURNED, result);
  holds_wait();
  count_last();
  /* Of an application that was retired, only that it has ended was wanted. */
  real.exit(retire_has_begun() ? 0 : result);
}

int main(int argc, char** argv, char** envp) {
  environment = envp;
  static struct options options;
  if (!real_setup()) refuse("this libc lacks a function that it needs");
  output_by_lines();
  if (!options_parse(&options, argc, argv)) refuse("unknown command line");
  const bool is_begun = options.mode == MODE_WORKER || subreaper_begin();
  const int error = errno;
  if (!self_setup()) refuse("it needs /proc");
  if (!channel_adopt()) refuse("no channel at descriptor 3");
  if (options.mode == MODE_WORKER) output_adopt();
  if (options.mode == MODE_WORKER && !listeners_adopt(options.listeners)) refuse("a listener is missing");
  if (!is_begun)
    channel_fail(LIVESWAP_STAGE_SPAWN, "cannot start the process that runs it: %s", strerror(error));
  set_up(&options);
  if (options.mode == MODE_HOOK) hook_run(&options);
  if (options.mode == MODE_CHECK) check_run(&options);
  worker_run(&options);
}
