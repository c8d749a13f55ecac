/* Runs a program to its end and keeps the beginning of what it writes. */
#ifndef LIVESWAP_LAUNCH_CHILD_OUTPUT_H
#define LIVESWAP_LAUNCH_CHILD_OUTPUT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CHILD_NOT_STARTED = -1 };

/* Standard output goes to `output`, standard error to `errors`: texts with a NUL of at most `room - 1` bytes,
 * what is longer is read and dropped. The two may be the same text. Standard input is empty, all other
 * descriptors are closed. Blocks until the child has closed both and has ended. Returns as waitpid() does;
 * CHILD_NOT_STARTED, with errno. */
int launch_child_output(const char* program, char* const* words, char* const* environment, char* output,
                        char* errors, size_t room);

#ifdef __cplusplus
}
#endif

#endif
