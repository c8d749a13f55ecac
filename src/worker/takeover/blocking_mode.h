/*
 * The blocking mode of listeners. O_NONBLOCK belongs to the open socket, which all generations share, so one
 * application's fcntl() must not change it for the others.
 *
 * The socket blocks as long as every application treats the listener as blocking (FLAG_BLOCKING) and waits
 * for connections in accept() only. Once any application waits elsewhere, or sets O_NONBLOCK, the socket is
 * non-blocking for good; accept() of an application that treats the listener as blocking then polls first
 * (interpose/accept.c).
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_BLOCKING_MODE_H
#define LIVESWAP_WORKER_TAKEOVER_BLOCKING_MODE_H

/* The application is about to wait for `fd` outside of accept(), so accept() must not block any more. Keeps
 * errno. */
void blocking_mode_begin_waits(int fd);

/* The same; records FLAG_POLLED or FLAG_EPOLLED. Does nothing if `flag` is set. */
void blocking_mode_note_wait(int fd, unsigned flag);

#endif
