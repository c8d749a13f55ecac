/*
 * A signal that does nothing but interrupt a thread that waits, so that the thread looks again. An
 * application may block the signal, so nothing that has to happen may depend on it, except where a thread has
 * asked before (interrupt_reaches).
 */
#ifndef LIVESWAP_WORKER_BASE_THREAD_INTERRUPT_H
#define LIVESWAP_WORKER_BASE_THREAD_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Interrupts every other thread that is in poll, ppoll, select or pselect, or that receives or accepts from a
 * descriptor with FLAG_REVOKED. */
void interrupt_waiting_threads(void);

/* Interrupts every other thread that is in poll, ppoll, select or pselect, that is in read, readv, recvfrom,
 * recvmsg or recvmmsg with a descriptor with FLAG_MOVED, or that runs, since it may be in one of these calls
 * a moment later. */
void interrupt_users_of_moved(void);

/* Interrupts that thread. False: it has ended. */
bool interrupt_thread(pid_t thread);

/* Whether the signal would interrupt a wait of the calling thread from now on, as long as
 * interrupt_is_blocked stays as it is. */
bool interrupt_reaches(void);
extern __thread bool interrupt_is_blocked;

/* The calling thread has changed its signal mask so. */
void interrupt_note_mask(int how, const sigset_t* set);

/* Interrupts no thread. Calls `note` with each descriptor that another thread is in one of these calls with,
 * and with INTERRUPT_ANY for a thread that runs, or of which the kernel does not tell. */
enum { INTERRUPT_ANY = -1 };
void interrupt_note_readers(void (*note)(int fd));

/* Whether no thread that was interrupted is still in a receiving call that it began before. A thread that
 * blocks the signal may stay in such a call for ever. */
bool interrupt_is_read_over(void);

extern __thread volatile unsigned interrupt_counter;

/* How often a signal of the worker host has interrupted the calling thread. A wait that has failed with EINTR
 * begins again when this has changed since it began. One load. */
static inline unsigned interrupt_count(void) { return interrupt_counter; }

/* Counts one more; for the handler of the worker host's other signal (control/wakeup_signal.h). */
void interrupt_note(void);

#endif
