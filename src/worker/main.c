/*
 * liveswap-worker: the process that loads one release of an application and runs it. The master starts this
 * program; contract/channel.h describes the descriptors and words that the program gets, liveswap_plugin.h
 * what it offers to the application.
 *
 * Only libc is linked. Only the contract and the functions that replace libc's are exported (worker.list), so
 * no symbol or library of the application conflicts with one of the worker host. main() runs on the
 * application's main thread; the control thread (control/control_thread.c) talks to the master.
 *
 * If the release is a program or a script, this program executes it, or its runtime, with the hook (hook.c),
 * which is the same worker host inside of the executed program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "execute.h"
#include "launch/resolve.h"
#include "liveswap_plugin.h"
#include "load.h"
#include "pre_upgrade.h"
#include "subreaper.h"
#include "trial.h"
#include "worker.h"
#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
#include "worker/base/environment.h"
#include "worker/base/libc.h"
#include "worker/base/options.h"
#include "worker/base/proc_self.h"
#include "worker/link/channel.h"
#include "worker/link/output.h"

static _Noreturn void refuse(const char* why) {
  dprintf(STDERR_FILENO, "liveswap-worker: %s; it is started by liveswap, not by hand\n", why);
  _exit(LIVESWAP_EXIT_USAGE);
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

static _Noreturn void worker_run(const struct options* options) {
  worker_take_over(options);
  const struct loaded application = load(options->path, options->entry);
  worker_enter(options, application.library);
  if (strcmp(options->entry, "liveswap_main") == 0) readiness_expect(listeners_find(listeners_first()));
  readiness_enter((application.flags & LIVESWAP_DEFER_READY) != 0);
  libc.exit(worker_finish(options, enter(options, &application)));
}

int main(int argc, char** argv, char** envp) {
  environment = envp;
  static struct options options;
  if (!libc_setup()) refuse("this libc lacks a function that it needs");
  output_by_lines();
  if (!options_parse(&options, argc, argv)) refuse("unknown command line");
  options.launch.environment = envp;
  const bool is_begun = options.mode == MODE_WORKER || subreaper_begin();
  const int error = errno;
  if (!proc_self_setup()) refuse("it needs /proc");
  if (!channel_adopt()) refuse("no channel at descriptor 3");
  /* Does not return for a program or a script. */
  if (options.mode == MODE_WORKER) execute_program(&options);
  if (options.mode == MODE_WORKER) output_adopt();
  if (options.mode == MODE_WORKER && !listeners_adopt(options.listeners)) refuse("a listener is missing");
  if (!is_begun) channel_fail(LIVESWAP_STAGE_SPAWN, "cannot start the subreaper: %s", strerror(error));
  if (options.mode == MODE_CHECK && launch_resolve_kind(options.path, &options.launch) != LAUNCH_PLUGIN)
    trial_run(&options);
  /* From here on, no program is started that the loader must find those libraries for. */
  worker_choose_keepalive(&options, true);
  environment_hide_needed(envp, options.path);
  worker_set_up(&options);
  if (options.mode == MODE_PRE_UPGRADE) pre_upgrade_run(&options);
  if (options.mode == MODE_CHECK) check_run(&options);
  worker_run(&options);
}
