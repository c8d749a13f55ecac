#ifndef PRELOAD_H
#define PRELOAD_H
#include <sys/syscall.h>

#include "board.h"

#define SEEN __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* Counts a call; true: it is the one that fails. */
int shall_fail(unsigned kind, const char* name);
/* Sets errno to the first or the second plausible error, as the board says; -1. */
int fail_with(int first, int second);

/* Throws a C++ exception where the call is the one that fails. libc declares open(), fsync() and sendmsg() as
 * functions out of which an exception may come, since a thread can be cancelled there. */
void throw_instead(const char* name);

/* syscall() of libc, which this library hides. */
long syscall_unseen(long number, ...);

#ifdef __cplusplus
}
#endif

#endif
