#ifndef LIVESWAP_WORKER_SEIZE_H
#define LIVESWAP_WORKER_SEIZE_H

/*
 * Takes the listeners away from an application that has not drained in time: puts a socket that nobody can
 * connect to in the place of each, and of each duplicate, in its epolls too. The application's next accept
 * finds nothing, its event loop sleeps, and the successor gets every new connection. Nothing of the
 * application has to help.
 */
void seize_listeners(void);

#endif
