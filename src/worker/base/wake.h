/* How any thread has the control thread look at what is due: an eventfd that the control thread polls. */
#ifndef LIVESWAP_WORKER_BASE_WAKE_H
#define LIVESWAP_WORKER_BASE_WAKE_H

#include <signal.h>
#include <stdbool.h>

/* Before the control thread starts. False, with errno. */
bool wake_setup(void);

/* The control thread looks at what is due as soon as it can. Any thread; async-signal-safe. */
void wake_control_thread(void);

/*
 * Where the control thread is parked (control/parking.h), the layers below it need more than that: it is to
 * come back; it is to come back where a signal handler may be running; the application is ready. All do
 * nothing before wake_connect(), which is called once, before the application is loaded. Any thread of the
 * application.
 */
struct wake_calls {
  bool (*unpark)(void);
  void (*unpark_soon)(const sigset_t* blocked);
  void (*settle)(void);
};
void wake_connect(const struct wake_calls* calls);
void wake_unpark(void);
void wake_unpark_soon(const sigset_t* blocked);
void wake_settle(void);

/* For the control thread: readable after wake_control_thread(); and what it has read of it. */
int wake_fd(void);
void wake_clear(void);

#endif
