/*
 * Making threads that wait look again: a signal that does nothing but end a wait. A library may have blocked it, so
 * nothing that has to happen may rest on it.
 */
#ifndef LIVESWAP_WORKER_KICK_H
#define LIVESWAP_WORKER_KICK_H

#include <stdbool.h>

/* Every thread but the caller's that is in poll, ppoll, select or pselect. For the control thread. */
void kick_waiting_threads(void);

/*
 * Every thread but the caller's that is in one of read, readv, recvfrom, recvmsg with that descriptor. Returns how many
 * there were. For the control thread.
 */
int kick_readers_of(int fd);

/* How often the calling thread has been kicked. */
unsigned kick_count(void);

#endif
