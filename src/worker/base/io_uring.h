/* Requests on io_uring name a file, not a descriptor: swapping a descriptor does not stop them. */
#ifndef LIVESWAP_WORKER_BASE_IO_URING_H
#define LIVESWAP_WORKER_BASE_IO_URING_H

#include <stdbool.h>

/* Whether a library, or one that it needs, has liburing in it: rings are then made without libc. */
bool io_uring_is_linked(void* library);

/* Whether the process has a ring. Any thread. */
bool io_uring_is_there(void);

/* Whether a ring has sockets that are no descriptors ("fixed files"): nobody can tell whether they are
 * connections. */
bool io_uring_has_fixed_sockets(void);

/*
 * Cancels what every io_uring of the process waits for on the file behind `held`: the application gets
 * ECANCELED, and what it asks for next is asked of the descriptor as it is now. Any thread. Where that is not
 * possible (io_uring_trouble) the log says so.
 */
void io_uring_cancel(int held);

/* Whether an accept in one of the rings of this process could not be cancelled, and why. */
enum io_uring_trouble {
  URING_FINE,
  URING_SINGLE_ISSUER, /* IORING_SETUP_SINGLE_ISSUER: only the thread that made it may */
  URING_OLD_KERNEL,    /* before Linux 6.0 */
};
enum io_uring_trouble io_uring_trouble(void);

#endif
