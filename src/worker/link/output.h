/*
 * Standard output and error of a worker. Both are pipes that the master reads, and passes on to where they
 * would go without it (master/output.hpp). When the master has died nobody reads them any more: then the
 * descriptors 1 and 2 get what the master would have written to, and what still waits in the pipes, or is
 * written into them by children of the application, is passed on here.
 */
#ifndef LIVESWAP_WORKER_LINK_OUTPUT_H
#define LIVESWAP_WORKER_LINK_OUTPUT_H

/*
 * Has every line of stdout written when it ends, as on a terminal: what a process has in its buffer is lost
 * when it crashes. In every mode, before the application is loaded; it may change that.
 */
void output_by_lines(void);

/* Writes what stdout has in its buffer; nothing when a thread is just using it. */
void output_flush(void);

/* Of a worker: takes LIVESWAP_FD_OUTPUT and LIVESWAP_FD_ERROR over, which may be missing. */
void output_adopt(void);

/* The master has died. Again and again; also in a signal handler. Writes without waiting. */
void output_abandoned(void);

/* Of output_abandoned(), to be polled: readable when it is to be called again. -1: nothing yet. `which`: 0
 * or 1. */
int output_fd(int which);

#endif
