/* What the calls that the host sees (bind.c, accept.c, wait.c, guard.c) share. */
#ifndef LIVESWAP_WORKER_CALLS_H
#define LIVESWAP_WORKER_CALLS_H

#include <stdbool.h>

#include "worker/listeners.h"

/* Of a definition: the application's references, and those of its libraries, meet it before libc's
 * (worker.list). */
#define SEEN_CALL __attribute__((visibility("default"), hot))

/* Of what hardly any of these calls needs: apart from them, so that they are short. */
#define SELDOM __attribute__((noinline, cold))

/* From here on listeners are taken over. For a worker, before the application is loaded. */
void calls_take_over(void);
bool calls_taking_over(void);

/* The listener at `fd`, going by its marks; a mark that is out of date is removed. NULL: none. */
const struct listener* calls_held(int fd);

/* SO_ACCEPTCONN */
bool calls_listens(int fd);

/* Between these no epoll_ctl() of the application on a listener, or on what is being moved, goes on. Blocks
 * until none does. */
void calls_stop_registering(void);
void calls_go_on_registering(void);

/* In a child of fork(): whoever had the lock does not exist here. */
void calls_in_child(void);

/* close() of a listener, or of what may just be being moved: not within those, so that no other descriptor
 * gets the number. */
int calls_close(int fd);

/* dup2() onto such a one, or dup3() where `flags` is not negative, likewise. */
int calls_dup(int fd, int as, int flags);

#endif
