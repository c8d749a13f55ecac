/*
 * Processes that the application forks without exec. They have copies of the memory and the listeners, but no
 * control thread, so liveswap could neither count nor drain what they serve.
 *
 * A child that works for its parent is allowed, as is one that answers a connection that the parent has
 * accepted. A child that accepts connections (prefork), or in which the application goes on while the worker
 * ends (daemon), is ended; the worker then fails with an explanation.
 *
 * After vfork() and in posix_spawn() the child briefly runs in the parent's memory: a change of descriptor
 * flags in the child would be one in the parent.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_FORKED_CHILD_H
#define LIVESWAP_WORKER_TAKEOVER_FORKED_CHILD_H

#include <stdbool.h>

#include "worker/base/slow_path.h"

/* Called once, before the application runs. False, with errno. */
bool forked_child_setup(void);

/* Whether this process is a fork()ed child of a worker. One load. */
static inline bool forked_child_is_here(void) { return slow_path_has(SLOW_CHILD); }

/* Whether this process is a child of a worker, made by fork() or vfork(). One system call. */
bool forked_child_runs(void);

/* Whether this process is a child made by vfork(), in the parent's memory. One system call. */
bool forked_child_is_of_vfork(void);

/*
 * In a child that waits for or accepts from `fd`: ends the process if `fd` is a listener that the worker's
 * master holds.
 */
void forked_child_uses(int fd);

/* In a child that binds `fd`: ends the process if the child becomes a daemon that serves. */
void forked_child_binds(int fd);

/* In a child: setsid() was called. */
void forked_child_detached(void);

/* In the worker: whether a child has ended or left the session, as happens when a daemon starts. */
bool forked_child_may_be_daemon(void);

/* Whether this process has a child, running or not waited for. One system call. */
bool forked_child_exists(void);

/* Whether fork() was ever called. One load. */
bool forked_child_has_forked(void);

/* Whether a forked child may exist. */
bool forked_child_may_report(void);

/* For the control thread: readable when a child has reported that it was ended; serve_report then ends the
 * worker. */
int forked_child_fd(void);
void forked_child_serve_report(void);

/* Ends the worker; its children end at their next interposed call. Any thread. */
_Noreturn void forked_child_refuse_daemon(void);

#endif
