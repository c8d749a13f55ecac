/*
 * Making threads that wait look again: a signal that does nothing but end a wait. A library may have blocked it, so
 * nothing that has to happen may rest on it, but in a process that is known not to block it (worker/aside.h).
 */
#ifndef LIVESWAP_WORKER_KICK_H
#define LIVESWAP_WORKER_KICK_H

#include <signal.h>
#include <stdbool.h>

/* Every thread but the caller's that is in poll, ppoll, select or pselect, or receives from what bears MARK_SEIZED. For the
 * control thread. */
void kick_waiting_threads(void);

/* Every thread but the caller's that is in one of those four, or in epoll_wait: none notices (aside.h). */
void kick_gates(void);

/* The four, and every one that is in read, readv, recvfrom, recvmsg or recvmmsg with a descriptor that bears MARK_MOVED. */
void kick_users_of_moved(void);

/* Kicks nobody: tells with which descriptors threads are in these calls; KICK_ANY when the kernel does not tell. */
enum { KICK_ANY = -1 };
void kick_note_readers(void (*note)(int fd));

/* Whether one of the signals that kicks may be is in the set. */
bool kick_is_blocked(const sigset_t* mask);

/* Whether every kick so far has met its thread, which then is in no call any more that began before. */
bool kick_all_handled(void);

/* How often the calling thread has been kicked. */
unsigned kick_count(void);

#endif
