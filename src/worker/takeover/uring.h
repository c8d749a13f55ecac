/* Requests on io_uring name a file, not a descriptor: swapping a descriptor does not stop them. */
#ifndef LIVESWAP_WORKER_URING_H
#define LIVESWAP_WORKER_URING_H

/*
 * Cancels what every io_uring of the process waits for on the file behind `held`: the application gets ECANCELED, and
 * what it asks for next is asked of the descriptor as it is now. Any thread. A ring of one issuer (SINGLE_ISSUER)
 * takes no orders from another thread: its requests stay, and the log says so.
 */
void uring_cancel(int held);

#endif
