/* While there is no master: passes on what workers write, so that no worker blocks in write(). */
#ifndef LIVESWAP_KEEPER_OUTPUT_H
#define LIVESWAP_KEEPER_OUTPUT_H

#include <poll.h>
#include <stddef.h>

/* Fills `polls` with the readers to wait for, at most `room`, and returns how many. `*pause_ms` is set if a
 * target takes nothing now: look again after that time. */
size_t output_polls(struct pollfd* polls, size_t room, int* pause_ms);

/* After poll(): reads what has come, and writes it without blocking. */
void output_pass_on(const struct pollfd* polls, size_t count);

#endif
