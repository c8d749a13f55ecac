/*
 * Words of an application that runs by the hook and cannot call liveswap_plugin.h: a script. It has one end
 * of a socket pair, whose number is in its environment; the protocol is in docs/reference/words.md.
 *
 * The control thread reads the words, and while it is parked, they start it as frames do
 * (wakeup_signal.h). `defer` must come before the wait for connections that it is about; so whoever is about
 * to report such a wait reads the words first.
 */
#ifndef LIVESWAP_WORKER_CONTROL_WORDS_H
#define LIVESWAP_WORKER_CONTROL_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* Called once, before the control thread starts. `fd`: the worker host's end, owned from here on; -1: the
 * application has no words. */
void words_setup(int fd);

/* Readable when words_serve() has something to do; -1: there are no words. Borrowed. */
int words_fd(void);

/* Carries out what the application has said. Any thread; does not block. */
void words_serve(void);

/* For the control thread: tells the application that it is to drain, and passes messages on. Returns when to
 * be called again, on clock_ms(); -1: after the next frame. */
int64_t words_step(void);

#endif
