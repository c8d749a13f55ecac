/*
 * Ends the processes that a check or plugin leaves behind, also those in sessions of their own.
 *
 * The worker host forks. The child loads the library; the parent is the child's subreaper (prctl(2)) and
 * stays single-threaded. When a process ends, the kernel makes the subreaper the parent of its children, so
 * all descendants end up among the subreaper's children.
 *
 * When the child has ended, or at SIGTERM, the parent kills its children until none is left, reports them to
 * the master (LIVESWAP_LEFT), and ends with the child's exit status or signal. When the master has gone, the
 * child has a second to end by itself; then the parent kills all of them too.
 *
 * Not caught: processes that another process has started for the library (systemd-run, at), and those of a
 * library that first kills or stops the subreaper, as a process of the same user may.
 */
#ifndef LIVESWAP_WORKER_SUBREAPER_H
#define LIVESWAP_WORKER_SUBREAPER_H

#include <stdbool.h>

/* Forks; returns in the child only. Before the process has threads, and before proc_self_setup(). False, with
 * errno: no subreaper. */
bool subreaper_begin(void);

#endif
