#ifndef PRELOAD_H
#define PRELOAD_H
#include <sys/syscall.h>

#include "board.h"

#define SEEN __attribute__((visibility("default")))

/* Counts a call; true: it is the one that fails. */
int shall_fail(unsigned kind, const char* name);
/* Sets errno to the first or the second plausible error, as the board says; -1. */
int fail_with(int first, int second);

/* syscall() of libc, which this library hides. */
long syscall_unseen(long number, ...);

#endif
