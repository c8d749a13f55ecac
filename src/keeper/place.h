/* The socket in the state directory, at which the keeper waits for the next master. */
#ifndef LIVESWAP_KEEPER_PLACE_H
#define LIVESWAP_KEEPER_PLACE_H

#include <stdbool.h>

/* Makes the socket. Only the master that holds the instance's lock starts a keeper, so a file that is there
 * is of a dead one, and is replaced. False, with errno. */
bool place_open(const char* state_dir);

/* The listening socket, non-blocking. */
int place_socket(void);

/* Removes the file if it is still this socket's. */
void place_remove(void);

/* Accepts a connection of this process's user; -1: none, or of another user. */
int place_accept(void);

#endif
