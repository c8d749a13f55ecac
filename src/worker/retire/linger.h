/*
 * Closes connections gracefully for the application: sends FIN, reads and discards what the client still
 * sends, and closes when the client has closed or after 2 s (liveswap_close_lingering, liveswap_close_idle).
 */
#ifndef LIVESWAP_WORKER_RETIRE_LINGER_H
#define LIVESWAP_WORKER_RETIRE_LINGER_H

#include <stdbool.h>

bool linger_setup(void);

/* For the control thread: linger_fd() is readable when linger_serve() has work. */
int linger_fd(void);
void linger_serve(void);

/* Whether no connection lingers. Any thread. */
bool linger_has_none(void);

#endif
