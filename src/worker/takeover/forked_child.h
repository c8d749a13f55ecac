/*
 * Processes that the application forks without exec. They have the application's memory, and its listeners,
 * but no control thread: liveswap could neither count nor drain what they serve. One that only works for its
 * parent is fine, as is one that answers the one connection that its parent has accepted. One that accepts by
 * itself (prefork), or that the application goes on in while the worker ends (daemon), is ended, and the
 * worker fails and says why.
 *
 * After vfork() and in posix_spawn() the child runs in its parent's memory, for a moment: marks are then the
 * parent's.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_FORKED_CHILD_H
#define LIVESWAP_WORKER_TAKEOVER_FORKED_CHILD_H

#include <stdbool.h>

#include "worker/base/slow_path.h"

/* False, with errno. Before the application runs. */
bool forked_child_setup(void);

/* Whether this process is one that fork() has made of a worker. One load. */
static inline bool forked_child_is_here(void) { return slow_path_has(SLOW_CHILD); }

/* Whether it is any child of a worker, also after vfork(). */
bool forked_child_runs(void);

/* Whether it is the child of a vfork(), whose memory is its parent's. */
bool forked_child_is_of_vfork(void);

/*
 * In a child, of a descriptor that it waits for or accepts from: does not return when that is a listener that
 * its parent's master holds.
 */
void forked_child_uses(int fd);

/* In a child that binds `fd`: does not return when it is becoming a daemon that serves. */
void forked_child_binds(int fd);

/* A child has called setsid(). */
void forked_child_detached(void);

/* In the worker: whether something that it forked lives on, or has lived on, as a daemon would. */
bool forked_child_may_be_daemon(void);

/* Whether fork() has ever been called. One load. */
bool forked_child_has_forked(void);

/* Whether a child that fork() has made may be there. */
bool forked_child_may_report(void);

/* Readable when a child has found out that it is not wanted; for the control thread, which then ends the
 * worker. */
int forked_child_fd(void);
void forked_child_serve_report(void);

/* Ends the worker, and its children as soon as they do something that is seen. */
_Noreturn void forked_child_refuse_daemon(void);

#endif
