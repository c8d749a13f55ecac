/*
 * The signal that reaches an application whose control thread is parked (control/parking.h). The kernel sends
 * it to the application's first thread when the master has sent something (O_ASYNC on the channel).
 *
 * The handler does nothing but count (interrupt_note), set a flag (SLOW_NEEDED) and start a timer that sends
 * the signal again. A poll, select or epoll_wait of the application fails with EINTR; the function that the
 * worker host has in its place sees the count, passes its safe point again and goes on waiting. Calls that
 * the kernel restarts go on unnoticed (SA_RESTART). A sleep, or a call with a time limit of the socket's, can
 * show EINTR to the application.
 *
 * A signal that arrives after a safe point has looked at the flag, and before the system call has begun,
 * interrupts nothing. The timer sends it again after 1 ms, 2 ms, 4 ms and so on, at most 1,024 ms apart,
 * until the control thread is there.
 *
 * The signal is SIGURG because the kernel ignores it where it has no handler: an application that resets all
 * signals when it starts loses a wakeup, and would be ended by most other signals.
 */
#ifndef LIVESWAP_WORKER_CONTROL_WAKEUP_SIGNAL_H
#define LIVESWAP_WORKER_CONTROL_WAKEUP_SIGNAL_H

#include <signal.h>
#include <stdbool.h>

/*
 * Installs the handler. Called by the first thread, which is the one that gets the signal. The handler calls
 * `received`, with every signal blocked. False, with errno, when the process can have no timer.
 */
bool wakeup_signal_setup(int channel, void (*received)(void));

/* From here on the kernel sends the signal when something comes over the channel. The kernel compares the
 * user of the caller with the user of the receiver at that time. Any thread; async-signal-safe, as all below.
 */
bool wakeup_signal_arm(void);

/* Neither the kernel nor the timer sends the signal any more. */
void wakeup_signal_disarm(void);

/* The timer sends the signal after twice the last rest; the first rest is 1 ms. */
void wakeup_signal_repeat(void);

/* Whether the calling thread gets the signal: the handler is installed and the signal is not blocked. */
bool wakeup_signal_is_deliverable(void);

/* The same of a thread with this mask, as /proc shows it. */
bool wakeup_signal_is_deliverable_with(unsigned long long blocked);

bool wakeup_signal_is_blocked(const sigset_t* mask);

/* Whether `number` is the wakeup signal. */
bool wakeup_signal_is(int number);

#endif
