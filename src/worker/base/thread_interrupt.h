/*
 * Making threads that wait look again: a signal that does nothing but end a wait. A library may have blocked
 * it, so nothing that has to happen may rest on it, but where a thread has asked before (interrupt_reaches).
 */
#ifndef LIVESWAP_WORKER_BASE_THREAD_INTERRUPT_H
#define LIVESWAP_WORKER_BASE_THREAD_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Every thread but the caller's that is in poll, ppoll, select or pselect, or receives or accepts from what
 * bears FLAG_SEIZED. */
void interrupt_waiting_threads(void);

/* Those that are in poll, ppoll, select or pselect, every one that is in read, readv, recvfrom, recvmsg or
 * recvmmsg with a descriptor that bears FLAG_MOVED, and those that run, which may be so in a moment. */
void interrupt_users_of_moved(void);

/* That one. False: there is none. */
bool interrupt_thread(pid_t thread);

/* Whether a kick would end what the calling thread waits for from now on, as long as interrupt_is_blocked
 * stays as it is. */
bool interrupt_reaches(void);
extern __thread bool interrupt_is_blocked;

/* The calling thread has done that with its signals. */
void interrupt_note_mask(int how, const sigset_t* set);

/* Kicks nobody: tells with which descriptors threads are in these calls; KICK_ANY for one that runs, or of
 * which the kernel does not tell. */
enum { KICK_ANY = -1 };
void interrupt_note_readers(void (*note)(int fd));

/* Whether no thread that has been kicked is still in one of these calls that it began before. One that blocks
 * the signal, and is in one, may stay there for ever. */
bool interrupt_is_read_over(void);

extern __thread volatile unsigned interrupt_counter;

/* How often the calling thread has been kicked: a wait that was ended so goes on. One load. */
static inline unsigned interrupt_count(void) { return interrupt_counter; }

/* In the handler of another signal of the host's: counts as a kick (control/wakeup_signal.h). */
void interrupt_note(void);

#endif
