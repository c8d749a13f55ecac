/* The life of a worker around the call of its application: for a library that is loaded (main.c), and for a
 * program that was executed (hook.c). All of it runs on the application's main thread. */
#ifndef LIVESWAP_WORKER_WORKER_H
#define LIVESWAP_WORKER_WORKER_H

#include "worker/base/options.h"

/* The mode for idle connections, if the options name none, by the kind of the release. */
void worker_choose_keepalive(struct options* options, bool is_plugin);

/* After the descriptors were adopted: the control thread, and what it needs. Ends the process on failure. */
void worker_set_up(const struct options* options);

/* Interposed calls take over listeners from here on. */
void worker_take_over(const struct options* options);

/* The application is about to be called. `library`: from dlopen(); NULL: the whole program. */
void worker_enter(const struct options* options, void* library);

/* The application has returned `result`. Returns when nothing holds the worker any more: end the process then
 * with the exit status that is returned. */
int worker_finish(const struct options* options, int result);

#endif
