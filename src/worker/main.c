/*
 * liveswap-worker: the process that loads one release of an application and runs it. The master starts this
 * program; contract/channel.h describes the descriptors and words that the program gets, liveswap_plugin.h
 * what it offers to the application.
 *
 * Only libc is linked. Only the contract and the functions that replace libc's are exported (worker.list), so
 * no symbol or library of the application conflicts with one of the worker host. main() runs on the
 * application's main thread; the control thread (control/control_thread.c) talks to the master.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "liveswap_plugin.h"
#include "load.h"
#include "pre_upgrade.h"
#include "subreaper.h"
#include "worker/api/drain.h"
#include "worker/api/heartbeat.h"
#include "worker/api/holds.h"
#include "worker/api/identity.h"
#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
#include "worker/base/libc.h"
#include "worker/base/options.h"
#include "worker/base/proc_self.h"
#include "worker/control/control_thread.h"
#include "worker/control/frames.h"
#include "worker/control/parking.h"
#include "worker/interpose/process_exit.h"
#include "worker/interpose/seccomp.h"
#include "worker/link/channel.h"
#include "worker/link/inbox.h"
#include "worker/link/output.h"
#include "worker/retire/linger.h"
#include "worker/retire/retire.h"
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/connection_count.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/io_uring.h"
#include "worker/takeover/traffic.h"
#include "worker/takeover/unseen_listeners.h"

static _Noreturn void refuse(const char* why) {
  dprintf(STDERR_FILENO, "liveswap-worker: %s; it is started by liveswap, not by hand\n", why);
  _exit(LIVESWAP_EXIT_USAGE);
}

static void set_up(const struct options* options) {
  identity_assume(options);
  frames_setup(options);
  heartbeat_setup(options->heartbeat_ms);
  if (!holds_setup() || !drain_setup() || !inbox_setup() || !linger_setup() || !forked_child_setup() ||
      !control_thread_setup() || !control_thread_begin(options)) {
    channel_fail(LIVESWAP_STAGE_SPAWN, "cannot set up the worker: %s", strerror(errno));
  }
}

/* Not `environ`: a reference to that variable would make the host export it. */
static char** environment;

/* liveswap_main gets the first listener; any other entry is the main() of a program. */
static int enter(const struct options* options, const struct loaded* application) {
  if (strcmp(options->entry, "liveswap_main") == 0)
    return ((int (*)(int))application->entry)(listeners_first());
  return ((int (*)(int, char**, char**))application->entry)(options->argument_count, options->arguments,
                                                            environment);
}

/* Advice if no bind() was seen. Of two such workers the second fails with "address in use", before
 * takeover/unseen_listeners.c has scanned the first. */
static void warn_unseen_bind(const struct options* options, int result) {
  if (result == 0 || options->intercept != INTERCEPT_LIBC || readiness_is_shown()) return;
  if (listeners_bound() || listeners_first() >= 0) return;
  liveswap_log(
      LIVESWAP_WARNING,
      "the application has bound no listener by libc's bind(); one that makes system calls itself, as "
      "Go does, needs --intercept seccomp");
}

static _Noreturn void worker_run(const struct options* options) {
  takeover_begin();
  accept_waiters_setup();
  if (options->keepalive == KEEPALIVE_MIGRATE) adopted_begin();
  if (options->keepalive != KEEPALIVE_KEEP) traffic_follow();
  if (options->intercept == INTERCEPT_SECCOMP) seccomp_begin();
  const struct loaded application = load(options->path, options->entry);
  if (io_uring_is_linked(application.library)) control_thread_stay();
  frames_entered();
  unseen_listeners_watch(options);
  if (strcmp(options->entry, "liveswap_main") == 0) readiness_expect(listeners_find(listeners_first()));
  readiness_enter((application.flags & LIVESWAP_DEFER_READY) != 0);
  const int result = enter(options, &application);
  process_exit_refuse_daemon(result);
  control_thread_unpark();
  warn_unseen_bind(options, result);
  output_flush(); /* before RETURNED: the master logs both together */
  channel_send_value(LIVESWAP_RETURNED, result);
  holds_wait();
  connection_count_last();
  /* What a retired application returns does not matter. */
  libc.exit(retire_has_begun() ? 0 : result);
}

int main(int argc, char** argv, char** envp) {
  environment = envp;
  static struct options options;
  if (!libc_setup()) refuse("this libc lacks a function that it needs");
  output_by_lines();
  if (!options_parse(&options, argc, argv)) refuse("unknown command line");
  const bool is_begun = options.mode == MODE_WORKER || subreaper_begin();
  const int error = errno;
  if (!proc_self_setup()) refuse("it needs /proc");
  if (!channel_adopt()) refuse("no channel at descriptor 3");
  if (options.mode == MODE_WORKER) output_adopt();
  if (options.mode == MODE_WORKER && !listeners_adopt(options.listeners)) refuse("a listener is missing");
  if (!is_begun) channel_fail(LIVESWAP_STAGE_SPAWN, "cannot start the subreaper: %s", strerror(error));
  set_up(&options);
  if (options.mode == MODE_PRE_UPGRADE) pre_upgrade_run(&options);
  if (options.mode == MODE_CHECK) check_run(&options);
  worker_run(&options);
}
