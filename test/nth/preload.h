#ifndef PRELOAD_H
#define PRELOAD_H
#include <sys/syscall.h>

#include "board.h"

#define SEEN __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* Counts a call. True: this call must fail. */
int shall_fail(unsigned kind, const char* name);
/* Sets errno to one of the two errors, as board.errors says. Returns -1. */
int fail_with(int first, int second);

/* Throws a C++ exception if this call must fail. libc declares open(), fsync() and sendmsg() without "does
 * not throw", because a thread can be cancelled in them. */
void throw_instead(const char* name);

/* libc's syscall(), which this library hides. */
long syscall_unseen(long number, ...);

#ifdef __cplusplus
}
#endif

#endif
