/*
 * Intercepts bind() and listen() of applications that call the kernel without libc (--intercept seccomp): Go,
 * static binaries, inline assembly. A seccomp filter suspends the calling thread and notifies a thread of the
 * worker host, which does what libc's functions would have done (interpose/bind.h) and sets the result. All
 * other calls run as usual.
 *
 * Not a security boundary: an application that changes the memory behind its pointers meanwhile deceives only
 * itself.
 */
#ifndef LIVESWAP_WORKER_INTERPOSE_SECCOMP_H
#define LIVESWAP_WORKER_INTERPOSE_SECCOMP_H

/*
 * Installs the filter for the calling thread, all threads that it will start, and their children. Called
 * once, before the application is loaded and after the host's own threads have started. Ends the worker if
 * the kernel refuses.
 *
 * Calls of forked children pass unchanged. A child that outlives the worker gets ENOSYS from bind() and
 * listen(), since no thread answers.
 */
void seccomp_begin(void);

#endif
