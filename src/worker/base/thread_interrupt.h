/*
 * Interrupts system calls of other threads, by a signal with a handler that only counts. An application may
 * block the signal, so nothing may depend on it unless the waiting thread has checked before
 * (interrupt_reaches). Any thread, unless noted.
 */
#ifndef LIVESWAP_WORKER_BASE_THREAD_INTERRUPT_H
#define LIVESWAP_WORKER_BASE_THREAD_INTERRUPT_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Interrupts every other thread in poll, ppoll, select or pselect, or in a receive or accept on a descriptor
 * with FLAG_REVOKED. */
void interrupt_waiting_threads(void);

/* Interrupts every other thread in poll, ppoll, select or pselect, or in read, readv, recvfrom, recvmsg or
 * recvmmsg on a descriptor with FLAG_HANDOFF; and running threads, which may be about to enter such a call.
 */
void interrupt_handoff_users(void);

/* Interrupts that thread. False: the thread has ended. */
bool interrupt_thread(pid_t thread);

/* Whether the signal would interrupt a wait of the calling thread, from now on and while interrupt_is_blocked
 * does not change. */
bool interrupt_reaches(void);
extern __thread bool interrupt_is_blocked;

/* The calling thread has changed its signal mask in this way. */
void interrupt_note_mask(int how, const sigset_t* set);

/* Interrupts nothing. Calls `note` for each other thread: in read, readv, recvfrom, recvmsg or recvmmsg, with
 * the descriptor; running, or with a system call that the kernel hides, with INTERRUPT_ANY. */
enum { INTERRUPT_ANY = -1 };
void interrupt_note_readers(void (*note)(int fd));

/* Whether all calls of read and recv that were running at the last interruption have ended. A thread that
 * blocks the signal may stay in such a call for ever. */
bool interrupt_is_read_over(void);

extern __thread volatile unsigned interrupt_counter;

/* How often signals of the worker host have interrupted the calling thread. A wait that failed with EINTR is
 * repeated if the count has changed. One load. */
static inline unsigned interrupt_count(void) { return interrupt_counter; }

/* Whether a signal of the worker host has ended a call, with EINTR, that began when the count was `before`.
 */
static inline bool interrupt_ended(int result, unsigned before) {
  return result < 0 && errno == EINTR && interrupt_count() != before;
}

/* Adds one to the count; for the handler of the wakeup signal (control/wakeup_signal.h). */
void interrupt_note(void);

#endif
