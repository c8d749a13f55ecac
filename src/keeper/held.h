/*
 * What the keeper holds for the next master: descriptors and the state that names them. A new state is
 * collected beside the one in force, and replaces it when it is complete. So a master that is killed while it
 * sends leaves the former state.
 */
#ifndef LIVESWAP_KEEPER_HELD_H
#define LIVESWAP_KEEPER_HELD_H

#include <stdbool.h>

#include "keeper/link.h"

/* Takes the descriptors of a DESCRIPTORS or STATE packet. False: the state was incomplete and is refused. */
bool held_take(struct packet* packet);

/* Forgets the parts of a state that its master has not completed. */
void held_drop_incomplete(void);

bool held_any(void);

/* How long to wait for the next master, in ms; -1: without a limit. */
int64_t held_wait_ms(void);

/* Sends all of it, or without `all` the state alone. `left_ms`: for the frame STATE. */
bool held_send(int link, bool all, int64_t left_ms);

/* The pipes of workers, with their targets, for output.c. */
struct held_output {
  int reader, target;
};
size_t held_outputs(const struct held_output** outputs);
void held_forget_output(int reader);

#endif
