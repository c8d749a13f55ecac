/*
 * How the master is heard while there is no control thread (control/parking.h): the kernel sends the
 * application's thread a signal when something has come over the channel, and again until it has been dealt
 * with. The handler tells whether the thread was blocked in a system call: then it is in the middle of
 * nothing, and what malloc() or pthread_create() do is safe.
 *
 * SIGURG, which is ignored where nobody handles it: an application that gives every signal back to the kernel
 * when it starts would be ended by another. The waits of an event loop go on unnoticed
 * (base/thread_interrupt.h), and so does what the kernel begins again; who sleeps, or blocks with a time
 * limit of the socket's, may see EINTR. The handler needs some KiB of the stack that is in use.
 */
#ifndef LIVESWAP_WORKER_CONTROL_WAKEUP_SIGNAL_H
#define LIVESWAP_WORKER_CONTROL_WAKEUP_SIGNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Of the first thread, which is the one that is knocked at. `knocked` is called in the handler, with every
 * signal blocked. False where it is not known how to tell a blocked thread, or without a timer.
 */
bool wakeup_signal_setup(int channel, void (*knocked)(bool was_blocked));

/* From here on the kernel knocks when something comes; and no more. To be said again by who has changed its
 * user. Any thread; async-signal-safe, as all below. */
bool wakeup_signal_begin(void);
void wakeup_signal_end(void);

/* Knocks once, after this time; after twice that, when it is asked again, up to about a second. */
void wakeup_signal_in(int64_t ms);
void wakeup_signal_again(void);
void wakeup_signal_no_more(void);

/* Holds knocks back from the calling thread, which looks for itself; forgets those that have been held back.
 */
void wakeup_signal_hold(sigset_t* before);
void wakeup_signal_forget(void);
void wakeup_signal_release(const sigset_t* before);

/* Whether knocks reach the calling thread, or one with that mask as /proc shows it: the handler is there, and
 * nothing blocks the signal. */
bool wakeup_signal_is_heard(void);
bool wakeup_signal_is_heard_with(unsigned long long blocked);
bool wakeup_signal_is_blocked(const sigset_t* mask);

/* Whether a thread with that mask may be in a handler of the application's, which may have interrupted
 * anything. */
bool wakeup_signal_may_meet_handler(const sigset_t* mask);

/* Whether it is the signal. */
bool wakeup_signal_is(int number);

#endif
