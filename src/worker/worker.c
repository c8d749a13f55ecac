#include "worker.h"

#include <errno.h>
#include <string.h>

#include "liveswap_plugin.h"
#include "worker/api/drain.h"
#include "worker/api/heartbeat.h"
#include "worker/api/holds.h"
#include "worker/api/identity.h"
#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
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

/* A program that makes system calls itself cannot take connections over. */
void worker_choose_keepalive(struct options* options, bool is_plugin) {
  if (options->keepalive_is_given) return;
  const bool can_adopt = !is_plugin && options->intercept == INTERCEPT_LIBC;
  options->keepalive = can_adopt ? KEEPALIVE_HTTP : KEEPALIVE_END;
}

void worker_set_up(const struct options* options) {
  identity_assume(options);
  frames_setup(options);
  heartbeat_setup(options->heartbeat_ms);
  if (!holds_setup() || !drain_setup() || !inbox_setup() || !linger_setup() || !forked_child_setup() ||
      !control_thread_setup() || !control_thread_begin(options)) {
    channel_fail(LIVESWAP_STAGE_SPAWN, "cannot set up the worker: %s", strerror(errno));
  }
}

void worker_take_over(const struct options* options) {
  takeover_begin();
  accept_waiters_setup();
  if (options->keepalive == KEEPALIVE_MIGRATE || options->keepalive == KEEPALIVE_HTTP) adopted_begin();
  if (options->keepalive != KEEPALIVE_KEEP) traffic_follow();
  if (options->intercept == INTERCEPT_SECCOMP) seccomp_begin();
}

void worker_enter(const struct options* options, void* library) {
  if (io_uring_is_linked(library)) control_thread_stay();
  frames_entered();
  unseen_listeners_watch(options);
}

/* Advice if no bind() was seen. Of two such workers the second fails with "address in use", before
 * takeover/unseen_listeners.c has scanned the first. */
static void warn_unseen_bind(const struct options* options, int result) {
  if (result == 0 || options->intercept != INTERCEPT_LIBC || readiness_is_shown()) return;
  if (options->is_program || listeners_bound() || listeners_first() >= 0) return;
  liveswap_log(
      LIVESWAP_WARNING,
      "the application has bound no listener by libc's bind(); one that makes system calls itself, as "
      "Go does, needs --intercept seccomp");
}

int worker_finish(const struct options* options, int result) {
  process_exit_refuse_daemon(result);
  control_thread_unpark();
  warn_unseen_bind(options, result);
  output_flush(); /* before RETURNED: the master logs both together */
  channel_send((struct liveswap_frame){LIVESWAP_RETURNED, result, options->is_program}, NULL, 0);
  holds_wait();
  connection_count_last();
  /* What a retired application returns does not matter. */
  return retire_has_begun() ? 0 : result;
}
