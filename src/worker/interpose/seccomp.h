/*
 * bind() and listen() of applications that call the kernel without libc (--intercept seccomp): Go, what is
 * linked statically, inline assembly. The kernel stops the calling thread and tells a thread of the host,
 * which does what libc's functions would have done (interpose/bind.h) and answers for the kernel. Every other
 * call runs as ever.
 *
 * It is no security border: the application could change what its pointers point to, and would only deceive
 * itself.
 */
#ifndef LIVESWAP_WORKER_INTERPOSE_SECCOMP_H
#define LIVESWAP_WORKER_INTERPOSE_SECCOMP_H

#include <stdbool.h>

/*
 * Begins, for the calling thread and all that it will start, and their children for ever; so before the
 * application is loaded, and after the host's own threads have been started. Ends the worker when the kernel
 * does not let it.
 *
 * Children are let through at once; but one that outlives the worker gets ENOSYS from bind(), since nobody
 * answers.
 */
void seccomp_begin(void);

#endif
