#ifndef LIVESWAP_WORKER_READINESS_H
#define LIVESWAP_WORKER_READINESS_H

#include <stdbool.h>

/*
 * Announces that liveswap_main is about to be called. An application that has called liveswap_ready() from a
 * constructor is announced as deferred and then as ready, so that the master always sees ENTERED first.
 */
void readiness_enter(bool deferred_by_note);

#endif
