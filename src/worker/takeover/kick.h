/*
 * Making threads that wait look again: a signal that does nothing but end a wait. A library may have blocked it, so
 * nothing that has to happen may rest on it.
 */
#ifndef LIVESWAP_WORKER_KICK_H
#define LIVESWAP_WORKER_KICK_H

#include <stdbool.h>

/* Every thread but the caller's that is in poll, ppoll, select or pselect, or receives from what bears MARK_SEIZED. For the
 * control thread. */
void kick_waiting_threads(void);

/* The four, and every one that is in read, readv, recvfrom, recvmsg or recvmmsg with a descriptor that bears MARK_MOVED. */
void kick_users_of_moved(void);

/* Kicks nobody: tells with which descriptors threads are in these calls; KICK_ANY when the kernel does not tell. */
enum { KICK_ANY = -1 };
void kick_note_readers(void (*note)(int fd));

/* Whether every kick so far has met its thread, which then is in no call any more that began before. */
bool kick_all_handled(void);

extern __thread volatile unsigned kick_counter;

/* How often the calling thread has been kicked: a wait that was ended so goes on. One load. */
static inline unsigned kick_count(void) { return kick_counter; }

/* In the handler of another signal of the host's: counts as a kick (worker/knock.h). */
void kick_note(void);

#endif
