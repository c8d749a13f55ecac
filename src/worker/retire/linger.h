/*
 * Connections that the application has given up and the host closes gracefully: FIN has been sent, what the
 * client still sends is read and discarded, until it closes too or the time is over.
 */
#ifndef LIVESWAP_WORKER_RETIRE_LINGER_H
#define LIVESWAP_WORKER_RETIRE_LINGER_H

#include <stdbool.h>

bool linger_setup(void);

/* Readable when linger_serve has something to do; for the control thread. */
int linger_fd(void);
void linger_serve(void);

/* Whether no connection lingers. Any thread. */
bool linger_has_none(void);

#endif
