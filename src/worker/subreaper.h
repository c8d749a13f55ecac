/*
 * A check or a hook runs code that may start processes and leave them behind, also in sessions of their own.
 * So the host forks: the child loads the library, the parent is its subreaper (prctl(2)) and stays alone with
 * the contract. The kernel gives every process whose own parent has ended to the subreaper, so that it finds
 * all of them among its children.
 *
 * When the child has ended, or at SIGTERM, the parent kills all of its children until none is left, tells the
 * master which these were (LIVESWAP_LEFT), and ends as the child has ended.
 *
 * What it cannot catch: processes that another one has started for the library (systemd-run, at), and those
 * of a library that first kills or stops this process, as a process of the same user may.
 */
#ifndef LIVESWAP_WORKER_SUBREAPER_H
#define LIVESWAP_WORKER_SUBREAPER_H

#include <stdbool.h>

/* Before there are threads, and before the host has opened or noted anything of its own process. Returns in
 * the child. False, with errno: there is none. */
bool subreaper_begin(void);

#endif
