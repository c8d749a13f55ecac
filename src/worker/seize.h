/*
 * Takes listeners away from the application: puts a socket that nobody can connect to in the place of each, and of
 * each duplicate, in its epolls too. The application's next accept finds nothing, its event loop sleeps, and the
 * successor gets every new connection. Nothing of the application has to help.
 */
#ifndef LIVESWAP_WORKER_SEIZE_H
#define LIVESWAP_WORKER_SEIZE_H

#include <stdbool.h>

/* All of them, for ever; those that are taken over later too. For the control thread. */
void seize_listeners(void);

/* Whether seize_listeners has begun. */
bool seize_has_begun(void);

/* One of them, by any thread; keeps errno. */
void seize_descriptor(int fd, int type);

#endif
