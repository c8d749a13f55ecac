/*
 * Standard output and error of a worker. Both are pipes. The master reads them and writes the bytes to the
 * places that the output would have without a master (master/workers/output.hpp).
 *
 * When the master has died, the worker redirects descriptors 1 and 2 to these places, and passes on the bytes
 * that are still in the pipes or that children of the application write.
 */
#ifndef LIVESWAP_WORKER_LINK_OUTPUT_H
#define LIVESWAP_WORKER_LINK_OUTPUT_H

/*
 * Makes stdout line-buffered, as on a terminal, so that a crash loses one line at most. For workers, checks
 * and plugins, before the application is loaded; the application may choose another buffering.
 */
void output_by_lines(void);

/* Flushes stdout, unless another thread has locked the stream. */
void output_flush(void);

/* For a worker: takes over LIVESWAP_FD_OUTPUT and LIVESWAP_FD_ERROR, which may be missing. */
void output_adopt(void);

/* Called repeatedly once the master has died; async-signal-safe. Passes on what is in the pipes, without
 * blocking. */
void output_abandoned(void);

/* The read end of pipe `which` (0 or 1), readable when output_abandoned() is to be called again; -1: none. */
int output_fd(int which);

#endif
