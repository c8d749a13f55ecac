/*
 * Connections that this worker cannot give to its application go back to the master. They wait here while the
 * channel has no room, so that nobody waits for a slow master, and none is lost.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_GIVE_BACK_H
#define LIVESWAP_WORKER_TAKEOVER_GIVE_BACK_H

#include <stdbool.h>
#include <stdint.h>

/* Takes `connection` over, which came in by the listener with that cookie, and was given up by the worker
 * before at `since`, on clock_ms(). Never blocks. Any thread. */
void give_back(uint64_t cookie, int connection, int64_t since);

/* For the control thread: sends those for which there was no room. When to call it next, on clock_ms(), or
 * -1. */
int64_t give_back_step(void);

/* Whether none waits: before that the process must not end. Any thread. */
bool give_back_is_done(void);

#endif
