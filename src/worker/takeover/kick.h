/*
 * Making threads that wait look again: a signal that does nothing but end a wait. A library may have blocked it, so
 * nothing that has to happen may rest on it, but that a thread does not sleep in accept() which has asked before
 * (kick_reaches).
 */
#ifndef LIVESWAP_WORKER_KICK_H
#define LIVESWAP_WORKER_KICK_H

#include <stdbool.h>

/* Every thread but the caller's that is in poll, ppoll, select or pselect, accepts from a listener that is or was held, may be
 * just beginning to, or receives from what bears MARK_SEIZED. False: not all of them could be looked at. */
bool kick_waiting_threads(void);

/* Whether any thread may sleep in accept(). */
bool kick_is_relied_upon(void);

/* Every thread but the caller's that sleeps in accept() with what bears MARK_SEIZED: it has begun before the stand-in was there,
 * which does not block. True: there is none. */
bool kick_out_of_accept(void);

/* Every thread but the caller's that is in accept() with this number, or may be just beginning to be. */
void kick_accepting(int fd);

/* Whether a kick would end what the calling thread waits for from now on, until it changes its signals (kick_masks). */
bool kick_reaches(void);

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

/* How often the calling thread may have blocked signals. */
extern __thread unsigned kick_masks;

/* In the handler of another signal of the host's: counts as a kick (worker/knock.h). */
void kick_note(void);

#endif
