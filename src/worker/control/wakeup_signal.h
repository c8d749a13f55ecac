/*
 * The signal that reaches an application while the control thread is parked (control/parking.h). The kernel
 * sends the signal to the application's first thread when the master has sent a frame (O_ASYNC on the
 * channel).
 *
 * The handler only counts (interrupt_note), sets SLOW_NEEDED and starts a timer that repeats the signal. A
 * poll, select or epoll_wait that the signal interrupts fails with EINTR; the interposed function compares
 * the count, passes the safe point again and continues to wait. The kernel restarts other calls unnoticed
 * (SA_RESTART). A sleep, or a call with a socket's time limit, can show EINTR to the application.
 *
 * A signal that arrives between the check at a safe point and the system call interrupts nothing. So the
 * timer repeats the signal after 1 ms, 2 ms, 4 ms and so on, up to every 1,024 ms, until the control thread
 * has started.
 *
 * The signal is SIGURG because the default action is to ignore it: an application that resets all signals at
 * the start loses a wakeup only, whereas most other signals would end the process.
 */
#ifndef LIVESWAP_WORKER_CONTROL_WAKEUP_SIGNAL_H
#define LIVESWAP_WORKER_CONTROL_WAKEUP_SIGNAL_H

#include <signal.h>
#include <stdbool.h>

/*
 * Installs the handler. Called by the first thread, which will get the signal. The handler calls `received`
 * with every signal blocked. False, with errno: no timer possible.
 */
bool wakeup_signal_setup(int channel, void (*received)(void));

/* Has the kernel signal what arrives at a second descriptor too, as on the channel. Called once, before
 * control_thread_begin(). */
void wakeup_signal_add(int fd);

/* From here on the kernel signals frames. The kernel stores the caller's current user, and for each frame
 * sends the signal only if that user may signal the first thread. Any thread; async-signal-safe, as all
 * functions below. */
bool wakeup_signal_arm(void);

/* Stops the kernel's and the timer's signals. */
void wakeup_signal_disarm(void);

/* The timer sends the signal after twice the last delay, at first after 1 ms. */
void wakeup_signal_repeat(void);

/* Whether the calling thread would get the signal: the handler is installed and the signal not blocked. */
bool wakeup_signal_is_deliverable(void);

/* The same for a thread with this mask (SigBlk of /proc). */
bool wakeup_signal_is_deliverable_with(unsigned long long blocked);

static inline bool wakeup_signal_is_blocked(const sigset_t* mask) { return sigismember(mask, SIGURG) == 1; }

/* Whether `number` is the wakeup signal. */
static inline bool wakeup_signal_is(int number) { return number == SIGURG; }

#endif
