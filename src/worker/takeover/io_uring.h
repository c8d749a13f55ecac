/* Detects io_uring and cancels pending requests. A request refers to the open file, not to the descriptor:
 * replacing a descriptor does not stop it. */
#ifndef LIVESWAP_WORKER_TAKEOVER_IO_URING_H
#define LIVESWAP_WORKER_TAKEOVER_IO_URING_H

#include <stdbool.h>

/* Whether a library, or one that it needs, contains liburing, which makes rings without calling libc. */
bool io_uring_is_linked(void* library);

/* Whether the process has an io_uring. Any thread. */
bool io_uring_is_there(void);

/* Whether an io_uring has sockets without descriptors ("fixed files"). They may be connections, and cannot be
 * examined. */
bool io_uring_has_fixed_sockets(void);

/*
 * Cancels all requests on the file behind `held` in every io_uring of the process. The application gets
 * ECANCELED; its next request goes to the descriptor as it is then. Any thread. Logs a warning where
 * cancelling is not possible (io_uring_trouble).
 */
void io_uring_cancel(int held);

/* Whether an accept in an io_uring of this process could not be cancelled, and why. */
enum io_uring_trouble {
  URING_FINE,
  URING_SINGLE_ISSUER, /* IORING_SETUP_SINGLE_ISSUER: only the thread that made the ring may cancel */
  URING_OLD_KERNEL,    /* before Linux 6.0 */
};
enum io_uring_trouble io_uring_trouble(void);

#endif
