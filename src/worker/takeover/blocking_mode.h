/*
 * Whether calls on a held listener wait in the kernel. O_NONBLOCK belongs to what generations share, so it is
 * what suits them all: off as long as every application has taken it for blocking, and has not been seen to
 * wait for it elsewhere than in accept() (a poll is seen until it is ready); from then on it is on for ever,
 * and who takes it for blocking is made to wait (interpose/accept.c). What the application believes is a
 * mark.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_BLOCKING_MODE_H
#define LIVESWAP_WORKER_TAKEOVER_BLOCKING_MODE_H

/* The application is about to wait for it elsewhere than in accept(), which must not wait then. Keeps errno.
 */
void blocking_mode_begin_waits(int fd);

/* The same, and `mark` says where. */
void blocking_mode_note_wait(int fd, unsigned mark);

#endif
